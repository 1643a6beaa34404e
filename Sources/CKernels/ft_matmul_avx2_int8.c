#include "ft_isa.h"

#if FT_HAS_X86
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "ft_matmul_avx2.h"

// INT8: vpmaddubsw wants one unsigned factor, so the weights' signs go to the activations
// (vpsignb), and two products of 127 x 128 fill 16 bits, so every vector goes to 32 bits at once.
// Splitting the bytes into nibbles would save those steps and cost as many multiplications: it
// measured 10 to 25 % slower.

/// 16 columns of the weights, and their magnitudes.
typedef struct half_block {
  __m256i signs[4], magnitudes[4];
} half_block;

FT_INLINE half_block unpack8(const uint8_t *source) {
  half_block q;
  for (int t = 0; t < 4; t++) {
    q.signs[t] = load256(source + t * FT_VECTOR_BYTES);
    q.magnitudes[t] = _mm256_abs_epi8(q.signs[t]);
  }
  return q;
}

FT_INLINE __m256i products32(const half_block *q, int t, const int8_t *a) {
  const __m256i act = _mm256_sign_epi8(broadcast4(a + 4 * t), q->signs[t]);
  const __m256i products = _mm256_maddubs_epi16(q->magnitudes[t], act);
  return _mm256_madd_epi16(products, _mm256_set1_epi16(1));
}

/// 32-bit sums of 16 columns and one activation row.
FT_INLINE __m256i dot_sixteen(const half_block *q, const int8_t *a) {
  __m256i x = _mm256_add_epi32(products32(q, 0, a), products32(q, 1, a));
  __m256i y = _mm256_add_epi32(products32(q, 2, a), products32(q, 3, a));
  return _mm256_add_epi32(x, y);
}

FT_INLINE void add_block(const uint8_t *block, __m256 scale, const int8_t *values, int32_t rows,
                         __m256 *parts) {
  __m256i first[FT_TILE_ROWS];
  half_block q = unpack8(block);
  for (int32_t row = 0; row < rows; row++) {
    first[row] = dot_sixteen(&q, values + row * FT_BLOCK_COLUMNS);
  }
  q = unpack8(block + 4 * FT_VECTOR_BYTES);
  for (int32_t row = 0; row < rows; row++) {
    const __m256i second = dot_sixteen(&q, values + row * FT_BLOCK_COLUMNS + 16);
    const __m256 sum = _mm256_cvtepi32_ps(_mm256_add_epi32(first[row], second));
    parts[row] = _mm256_add_ps(parts[row], _mm256_mul_ps(scale, sum));
  }
}

FT_INLINE void multiply_group(const ft_matrix *matrix, const ft_format *format, int32_t group,
                              const ft_tile *tile, int32_t rows, float *out, size_t out_stride,
                              int32_t valid_rows) {
  const uint8_t *next = (const uint8_t *)matrix->data + (size_t)group * format->group_bytes;
  const int32_t block_bytes = FT_BLOCK_VECTORS * FT_VECTOR_BYTES;
  const size_t block_values = (size_t)tile->stride * FT_BLOCK_COLUMNS;
  const int8_t *values = tile->values;
  const float *activation_scales = tile->scales;
  __m256 totals[FT_TILE_ROWS];
  for (int32_t row = 0; row < rows; row++) totals[row] = _mm256_setzero_ps();
  const int32_t supers = format->full_supers + (format->tail_blocks > 0);
  for (int32_t super = 0; super < supers; super++) {
    const int32_t blocks = super < format->full_supers ? FT_SUPER_BLOCKS : format->tail_blocks;
    const uint8_t *scales = next;
    prefetch_stream(next, 16 * blocks);
    next += ft_header_bytes(FT_HEADER_FLOATS, blocks);
    for (int32_t first = 0; first < blocks; first += FT_GROUP_BLOCKS) {
      __m256 parts[FT_TILE_ROWS];
      for (int32_t row = 0; row < rows; row++) parts[row] = _mm256_setzero_ps();
      const int32_t end = first + FT_GROUP_BLOCKS < blocks ? first + FT_GROUP_BLOCKS : blocks;
      for (int32_t block = first; block < end; block++) {
        prefetch_stream(next, block_bytes);
        const __m256 scale =
            _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(scales + 16 * block)));
        add_block(next, scale, values, rows, parts);
        next += block_bytes;
        values += block_values;
      }
      for (int32_t row = 0; row < rows; row++) {
        const __m256 activation_scale = _mm256_broadcast_ss(activation_scales + row);
        totals[row] = _mm256_add_ps(totals[row], _mm256_mul_ps(parts[row], activation_scale));
      }
      activation_scales += tile->stride;
    }
  }
  for (int32_t row = 0; row < rows; row++) {
    store_rows(out + (size_t)row * out_stride, totals[row], valid_rows);
  }
}

void ft_matmul_group_avx2_int8(const ft_matrix *matrix, const ft_format *format, int32_t group,
                               const ft_tile *tile, float *out, size_t out_stride,
                               int32_t valid_rows) {
#define MULTIPLY(rows) \
  multiply_group(matrix, format, group, tile, rows, out, out_stride, valid_rows)
  FT_FOR_TILE_ROWS(tile->rows, MULTIPLY)
#undef MULTIPLY
}

#pragma clang attribute pop
#endif
