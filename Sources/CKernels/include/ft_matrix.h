#ifndef FT_MATRIX_H
#define FT_MATRIX_H

#include "ft_types.h"

/// Output rows that are packed and computed together. Work is shared out in whole groups.
#define FT_GROUP_ROWS 8

/// Largest number of activation rows that one call of `ft_matmul` takes.
#define FT_MAX_BATCH 512

/// Instruction sets the kernels are built for. `ft_isa_select` picks one for the process:
/// the best that the machine has, or the one that FORETOKEN_ISA names.
typedef enum ft_isa {
  FT_ISA_PORTABLE = 0,
  FT_ISA_AVX2 = 1,
  FT_ISA_AVX512VNNI = 2,
  FT_ISA_NEON = 3,
} ft_isa;

/// The instruction set in force (chosen at first use).
ft_isa ft_isa_current(void);
/// Short lower-case name: "portable", "avx2", "avx512vnni", "neon".
const char *ft_isa_name(ft_isa isa);
/// True if this machine and this build can run `isa`.
bool ft_isa_available(ft_isa isa);
/// Forces an instruction set for the calls of this thread (tests and benchmarks; other threads go
/// on undisturbed). Returns false if it is not available.
bool ft_isa_force(ft_isa isa);
/// Ends what `ft_isa_force` began on this thread.
void ft_isa_unforce(void);

/// How the elements of a packed matrix lie in memory; chosen by `ft_matrix_plan`.
typedef enum ft_layout {
  FT_LAYOUT_NONE = 0,
  FT_LAYOUT_INT4 = 1,  // Q4_0, Q4_1, Q4_K
  FT_LAYOUT_INT5 = 2,  // Q5_0, Q5_1, Q5_K
  FT_LAYOUT_INT6 = 3,  // Q6_K, Q3_K
  FT_LAYOUT_INT8 = 4,  // Q8_0, IQ4_NL
  FT_LAYOUT_ROWS = 5,  // the file's own rows, dequantised on the fly (F32, F16, BF16, Q2_K, others)
} ft_layout;

/// A weight matrix [rows, columns], ready for `ft_matmul`: y[b, rows] = x[b, columns] * W^T.
/// `data` is 64-byte aligned and owned by the caller.
typedef struct ft_matrix {
  ft_type type;
  ft_layout layout;
  int32_t rows;
  int32_t columns;
  size_t bytes;      // size of `data`
  const void *data;
} ft_matrix;

/// Fills everything of `matrix` but `data`. Returns false if `type` is unknown, a dimension is not
/// positive, or `columns` is not a multiple of the block size. `reference` asks for FT_LAYOUT_ROWS
/// whatever the type: float activations, no rounding but the file's own.
bool ft_matrix_plan(ft_matrix *matrix, ft_type type, int32_t rows, int32_t columns, bool reference);

/// Number of groups of FT_GROUP_ROWS rows, the last one possibly partial.
int32_t ft_matrix_groups(const ft_matrix *matrix);

/// Packs groups [group_begin, group_end) of the file's rows `source` into `data` (of
/// `matrix->bytes` bytes). Groups may be packed by several threads at once.
void ft_matrix_pack(const ft_matrix *matrix, void *data, const void *source, int32_t group_begin,
                    int32_t group_end);

/// Activation rows prepared once for any number of matrices of `columns` columns: the floats
/// themselves for FT_LAYOUT_ROWS, and int8 with scales and sums for the integer layouts.
/// The pointers lie in one caller-owned block of memory (`ft_activations_bytes`).
typedef struct ft_activations {
  int32_t columns;
  int32_t capacity;      // rows there is room for
  const float *source;   // [rows, source_stride]: set by ft_activations_quantize
  size_t source_stride;  // in floats
  int8_t *values;
  float *scales;
  float *offsets;
  int32_t *zeros;
  int32_t *half_zeros;
  int16_t *pair_zeros;
  int16_t *half_pairs;
} ft_activations;

/// Rows lie interleaved in near-equal tiles of up to 64, as `capacity` divides: kernels run best if
/// `capacity` is the number of rows that are multiplied together. Setting it anew for every pass
/// costs nothing (`ft_activations_init` computes a few pointers), and no value depends on it.
size_t ft_activations_bytes(int32_t columns, int32_t capacity);
void ft_activations_init(ft_activations *activations, void *memory, int32_t columns,
                         int32_t capacity);

/// Quantises rows [row_begin, row_end) of `source`. A row's bits depend on its own floats only.
/// Rows may be quantised by several threads at once. A row that holds an infinity or NaN becomes
/// zeros under NaN scales where it does: its outputs show the damage, others' do not. The floats must stay where they are until
/// the last ft_matmul over them is done.
void ft_activations_quantize(ft_activations *activations, const float *source,
                             size_t source_stride, int32_t row_begin, int32_t row_end);

/// The same for the blocks [block_begin, block_end) of 32 columns only: several threads may share
/// out the columns of few rows. Blocks of several rows lie together, so that threads that share out
/// columns do not write to the same cache lines.
void ft_activations_quantize_blocks(ft_activations *activations, const float *source,
                                    size_t source_stride, int32_t row_begin, int32_t row_end,
                                    int32_t block_begin, int32_t block_end);
/// Blocks of 32 columns, the last possibly shorter.
int32_t ft_activations_blocks(const ft_activations *activations);
/// Rows that lie interleaved.
int32_t ft_activations_tile_rows(const ft_activations *activations);

/// out[r * out_stride + j] = sum over c of x[r, c] * W[j, c] for rows r in 0..<batch and output
/// rows j of groups [group_begin, group_end). Every value has the same bits whatever the batch,
/// the row's place in it, the group range and the alignment. Output columns beyond
/// `matrix->rows` are never written. `scratch` is FT_MATMUL_SCRATCH bytes private to the calling
/// thread, 64-byte aligned.
#define FT_MATMUL_SCRATCH (1 << 20)
void ft_matmul(const ft_matrix *matrix, const ft_activations *activations, int32_t batch,
               float *out, size_t out_stride, int32_t group_begin, int32_t group_end,
               void *scratch);

/// Products with a choice of groups: out[r * out_stride + 8 i + j] is output row 8 groups[i] + j for
/// i in [begin, end), with the bits that ft_matmul gives it. Outputs beyond `matrix->rows` are not
/// written; `groups` may come in any order.
void ft_matmul_groups(const ft_matrix *matrix, const ft_activations *activations, int32_t batch,
                      float *out, size_t out_stride, const int32_t *groups, int32_t begin,
                      int32_t end, void *scratch);

#endif
