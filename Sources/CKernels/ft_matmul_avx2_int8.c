#include "ft_isa.h"

#if FT_HAS_X86
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "ft_matmul_avx2.h"

// INT8: two products of 8 x 8 bits fill 16 bits, so that every vpmaddubsw would want its own
// vpmaddwd, and a vpsignb for the signs. The weights w + 128 are split into nibbles instead: their
// sums over 32 columns fit 16 bits, as INT4's do, and sum(w a) = low + 16 high - 128 sum(a).
// 16 products + 2 per block and row, against 16 + 8 signs.

/// Nibbles of 16 columns.
typedef struct nibbles {
  __m256i low[4], high[4];
} nibbles;

FT_INLINE nibbles unpack8(const uint8_t *half_block) {
  nibbles q;
  for (int t = 0; t < 4; t++) {
    const __m256i bytes = load256(half_block + t * FT_VECTOR_BYTES);
    q.low[t] = _mm256_and_si256(bytes, _mm256_set1_epi8(15));
    q.high[t] = high_nibbles(bytes);
  }
  return q;
}

/// 16-bit sums of 16 columns and one activation row.
FT_INLINE void dot_sixteen(const nibbles *q, const int8_t *a, __m256i *low, __m256i *high) {
  __m256i act = broadcast4(a);
  __m256i x = _mm256_maddubs_epi16(q->low[0], act);
  __m256i y = _mm256_maddubs_epi16(q->high[0], act);
  FT_PIN(x);
  FT_PIN(y);
  for (int t = 1; t < 4; t++) {
    act = broadcast4(a + 4 * t);
    __m256i u = _mm256_maddubs_epi16(q->low[t], act);
    __m256i v = _mm256_maddubs_epi16(q->high[t], act);
    FT_PIN(u);
    FT_PIN(v);
    x = _mm256_add_epi16(x, u);
    y = _mm256_add_epi16(y, v);
    FT_PIN(x);
    FT_PIN(y);
  }
  *low = x;
  *high = y;
}

/// Adds scale * sum(w a) of one block to the float sum of one activation row.
FT_INLINE __m256 add_row(__m256 part, __m256 scale, __m256i low, __m256i high, int16_t sum) {
  const __m256i products = _mm256_add_epi32(_mm256_madd_epi16(low, _mm256_set1_epi16(1)),
                                            _mm256_madd_epi16(high, _mm256_set1_epi16(16)));
  const __m256i exact = _mm256_sub_epi32(products, _mm256_set1_epi32(FT_INT8_ZERO * sum));
  return _mm256_add_ps(part, _mm256_mul_ps(scale, _mm256_cvtepi32_ps(exact)));
}

FT_INLINE void add_block(const uint8_t *block, __m256 scale, const int8_t *values,
                         const int16_t *sums, int32_t rows, __m256 *parts) {
  __m256i low[FT_TILE_ROWS], high[FT_TILE_ROWS];
  nibbles q = unpack8(block);
  for (int32_t row = 0; row < rows; row++) {
    dot_sixteen(&q, values + row * FT_BLOCK_COLUMNS, &low[row], &high[row]);
  }
  q = unpack8(block + 4 * FT_VECTOR_BYTES);
  for (int32_t row = 0; row < rows; row++) {
    __m256i x, y;
    dot_sixteen(&q, values + row * FT_BLOCK_COLUMNS + 16, &x, &y);
    x = _mm256_add_epi16(x, low[row]);
    y = _mm256_add_epi16(y, high[row]);
    parts[row] = add_row(parts[row], scale, x, y, sums[row * FT_GROUP_SUMS]);
  }
}

FT_INLINE void multiply_group(const ft_matrix *matrix, const ft_format *format, int32_t group,
                              const ft_tile *tile, int32_t rows, float *out, size_t out_stride,
                              int32_t valid_rows) {
  const uint8_t *next = (const uint8_t *)matrix->data + (size_t)group * format->group_bytes;
  const int32_t block_bytes = FT_BLOCK_VECTORS * FT_VECTOR_BYTES;
  const size_t block_values = (size_t)tile->stride * FT_BLOCK_COLUMNS;
  const int8_t *values = tile->values;
  const int16_t *sums = tile->sums;
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
        add_block(next, scale, values, sums + (block - first), rows, parts);
        next += block_bytes;
        values += block_values;
      }
      for (int32_t row = 0; row < rows; row++) {
        const __m256 activation_scale = _mm256_broadcast_ss(activation_scales + row);
        totals[row] = _mm256_add_ps(totals[row], _mm256_mul_ps(parts[row], activation_scale));
      }
      sums += tile->stride * FT_GROUP_SUMS;
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
  if (tile->rows == 1) {
    multiply_group(matrix, format, group, tile, 1, out, out_stride, valid_rows);
  } else {
    multiply_group(matrix, format, group, tile, tile->rows, out, out_stride, valid_rows);
  }
}

#pragma clang attribute pop
#endif
