#ifndef FT_MATMUL_H
#define FT_MATMUL_H

// The kernels behind ft_matmul. Private to CKernels.

#include "ft_isa.h"

/// One group of 8 output rows.
typedef struct ft_group_target {
  const uint8_t *weights;  // the group's stream
  float *out;              // the group's first output of the tile's first row
  int32_t valid;           // outputs written per row: 1...8, 0 for none
} ft_group_target;

/// As many groups as the kernel takes at a time, times the `rows` rows of one tile.
typedef void ft_group_kernel(const ft_matrix *matrix, const ft_format *format,
                             const ft_group_target *targets, const ft_tile *tile,
                             size_t out_stride);

ft_group_kernel ft_matmul_group_portable;
#if FT_HAS_X86
ft_group_kernel ft_matmul_group_avx2_int4;
ft_group_kernel ft_matmul_pair_avx2_int4;
ft_group_kernel ft_matmul_group_avx2_int5;
ft_group_kernel ft_matmul_pair_avx2_int5;
ft_group_kernel ft_matmul_group_avx2_int6;
ft_group_kernel ft_matmul_pair_avx2_int6;
ft_group_kernel ft_matmul_group_avx2_int8;
ft_group_kernel ft_matmul_pair_vnni_int4;
ft_group_kernel ft_matmul_pair_vnni_int5;
ft_group_kernel ft_matmul_pair_vnni_int6;
ft_group_kernel ft_matmul_pair_vnni_int8;
#endif
#if FT_HAS_NEON
ft_group_kernel ft_matmul_group_neon_int4;
ft_group_kernel ft_matmul_group_neon_int5;
ft_group_kernel ft_matmul_group_neon_int6;
ft_group_kernel ft_matmul_group_neon_int8;
#endif

/// Columns of a matrix in FT_LAYOUT_ROWS that are dequantised at a time: 8 rows of them take half of
/// a first-level cache.
#define FT_ROWS_CHUNK 512
/// Partial sums of one output: column c adds to lane c mod 8.
#define FT_ROWS_LANES 8

/// Adds the products of `count` columns to the lanes of 8 output rows x `batch` rows.
/// `weights` [8, FT_ROWS_CHUNK], `x` [batch, x_stride], `lanes` [batch, 8 rows, 8 lanes].
typedef void ft_rows_kernel(const float *weights, const float *x, size_t x_stride, int32_t batch,
                            int32_t count, float *lanes);

ft_rows_kernel ft_rows_accumulate_portable;
#if FT_HAS_X86
ft_rows_kernel ft_rows_accumulate_avx2;

/// Dequantises `count` elements of F32, F16, BF16 or Q2_K (whole blocks); the same values as
/// `ft_dequantize`, faster. Returns false for other types.
bool ft_rows_convert_avx2(ft_type type, const uint8_t *source, float *destination, int32_t count);
#endif

#if FT_HAS_X86
/// Most activation rows for which float weights are multiplied as they are read.
#define FT_ROWS_DIRECT_BATCH 2

/// The same as conversion and accumulation for all columns of 8 rows of F32, F16 or BF16 and few
/// activation rows, without a converted copy: what memory-bound batches want. Returns false for
/// other types.
bool ft_rows_direct_avx2(ft_type type, const uint8_t *source, int32_t columns, const float *x,
                         size_t x_stride, int32_t batch, float *lanes);
#endif

/// One group of a matrix in FT_LAYOUT_ROWS; `out` is the group's first output of the first row.
void ft_matmul_rows(const ft_matrix *matrix, const ft_activations *activations, int32_t batch,
                    int32_t group, float *out, size_t out_stride, void *scratch);

/// Outputs of group `group`: 8, fewer in the last.
static inline int32_t ft_valid_rows(const ft_matrix *matrix, int32_t group) {
  const int64_t left = (int64_t)matrix->rows - (int64_t)group * FT_GROUP_ROWS;
  return left < FT_GROUP_ROWS ? (int32_t)left : FT_GROUP_ROWS;
}

#endif
