#include <string.h>

#include "ft_matmul.h"

#pragma STDC FP_CONTRACT OFF

// FT_LAYOUT_ROWS: the file's own rows, dequantised a chunk at a time and multiplied with the float
// activations. Column c adds to lane c mod 8 in ascending order, and the lanes are added pairwise
// at the end: the same bits for every batch and instruction set.

void ft_rows_accumulate_portable(const float *weights, const float *x, size_t x_stride,
                                 int32_t batch, int32_t count, float *lanes) {
  const int32_t whole = count - count % FT_ROWS_LANES;
  for (int32_t b = 0; b < batch; b++) {
    const float *values = x + (size_t)b * x_stride;
    for (int row = 0; row < FT_GROUP_ROWS; row++) {
      const float *own = weights + (size_t)row * FT_ROWS_CHUNK;
      float *sums = lanes + ((size_t)b * FT_GROUP_ROWS + (size_t)row) * FT_ROWS_LANES;
      float local[FT_ROWS_LANES];
      memcpy(local, sums, sizeof local);
      for (int32_t c = 0; c < whole; c += FT_ROWS_LANES) {
        for (int lane = 0; lane < FT_ROWS_LANES; lane++) {
          local[lane] = local[lane] + own[c + lane] * values[c + lane];
        }
      }
      for (int32_t c = whole; c < count; c++) {
        local[c - whole] = local[c - whole] + own[c] * values[c];
      }
      memcpy(sums, local, sizeof local);
    }
  }
}

static float sum_lanes(const float lanes[FT_ROWS_LANES]) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
         ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

typedef struct rows_scratch {
  float weights[FT_GROUP_ROWS][FT_ROWS_CHUNK];
  float lanes[FT_MAX_BATCH][FT_GROUP_ROWS][FT_ROWS_LANES];
} rows_scratch;

_Static_assert(sizeof(rows_scratch) <= FT_MATMUL_SCRATCH, "the rows kernel fits its scratch");
_Static_assert(FT_ROWS_CHUNK % 256 == 0, "a chunk is whole blocks of every type");

static void dequantize(ft_type type, const uint8_t *source, float *destination, int32_t count) {
#if FT_HAS_X86
  if (ft_isa_current() != FT_ISA_PORTABLE &&
      ft_rows_convert_avx2(type, source, destination, count)) {
    return;
  }
#endif
  ft_dequantize(type, source, destination, (size_t)count);
}

static ft_rows_kernel *rows_kernel(void) {
#if FT_HAS_X86
  if (ft_isa_current() != FT_ISA_PORTABLE) return ft_rows_accumulate_avx2;
#endif
  return ft_rows_accumulate_portable;
}

static void dequantize_chunk(const ft_matrix *matrix, int32_t group, int32_t first, int32_t count,
                             rows_scratch *scratch) {
  const size_t elements = (size_t)ft_type_block_elements(matrix->type);
  const size_t block_bytes = (size_t)ft_type_block_bytes(matrix->type);
  const size_t row_bytes = (size_t)matrix->columns / elements * block_bytes;
  const int32_t valid = ft_valid_rows(matrix, group);
  for (int32_t row = 0; row < FT_GROUP_ROWS; row++) {
    if (row >= valid) {
      memset(scratch->weights[row], 0, (size_t)count * sizeof(float));
      continue;
    }
    const uint8_t *source = (const uint8_t *)matrix->data +
                            ((size_t)group * FT_GROUP_ROWS + (size_t)row) * row_bytes +
                            (size_t)first / elements * block_bytes;
    dequantize(matrix->type, source, scratch->weights[row], count);
  }
}

/// Multiplies a full group without a converted copy of its weights, if the type and batch allow it.
static bool multiply_directly(const ft_matrix *matrix, const ft_activations *activations,
                              int32_t batch, int32_t group, rows_scratch *scratch) {
#if FT_HAS_X86
  if (ft_isa_current() == FT_ISA_PORTABLE || batch > FT_ROWS_DIRECT_BATCH ||
      ft_valid_rows(matrix, group) < FT_GROUP_ROWS) {
    return false;
  }
  const uint8_t *source =
      (const uint8_t *)matrix->data +
      (size_t)group * FT_GROUP_ROWS * (matrix->bytes / (size_t)matrix->rows);
  return ft_rows_direct_avx2(matrix->type, source, matrix->columns, activations->source,
                             activations->source_stride, batch, &scratch->lanes[0][0][0]);
#else
  (void)matrix, (void)activations, (void)batch, (void)group, (void)scratch;
  return false;
#endif
}

/// Multiplies a group a chunk of columns at a time.
static void multiply_chunks(const ft_matrix *matrix, const ft_activations *activations,
                            int32_t batch, int32_t group, rows_scratch *scratch) {
  ft_rows_kernel *accumulate = rows_kernel();
  memset(scratch->lanes, 0, (size_t)batch * sizeof scratch->lanes[0]);
  for (int32_t first = 0; first < matrix->columns; first += FT_ROWS_CHUNK) {
    const int32_t left = matrix->columns - first;
    const int32_t count = left < FT_ROWS_CHUNK ? left : FT_ROWS_CHUNK;
    dequantize_chunk(matrix, group, first, count, scratch);
    accumulate(scratch->weights[0], activations->source + first, activations->source_stride,
               batch, count, &scratch->lanes[0][0][0]);
  }
}

void ft_matmul_rows(const ft_matrix *matrix, const ft_activations *activations, int32_t batch,
                    int32_t group, float *out, size_t out_stride, void *scratch) {
  rows_scratch *own = scratch;
  if (!multiply_directly(matrix, activations, batch, group, own)) {
    multiply_chunks(matrix, activations, batch, group, own);
  }
  const int32_t valid = ft_valid_rows(matrix, group);
  for (int32_t b = 0; b < batch; b++) {
    float *target = out + (size_t)b * out_stride;
    for (int32_t row = 0; row < valid; row++) target[row] = sum_lanes(own->lanes[b][row]);
  }
}
