#include "ft_isa.h"

#if FT_HAS_X86
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "ft_matmul_avx2.h"

// INT6: 8 products of 63 x 127 overflow 16 bits, but with the zero taken off they are at most
// 8 x 32 x 127 = 32512. So the 16-bit sum starts from -32 times the sum of its activations and may
// wrap on the way: the end is exact, and one multiplication with the scale serves 16 columns.

FT_INLINE void unpack6(const uint8_t *block, __m256i q[FT_BLOCK_VECTORS]) {
  const __m256i mask = _mm256_set1_epi8(15), pair = _mm256_set1_epi8(0x30);
  for (int t = 0; t < 4; t++) {
    const __m256i bytes = load256(block + t * FT_VECTOR_BYTES);
    q[t] = _mm256_and_si256(bytes, mask);
    q[t + 4] = high_nibbles(bytes);
  }
  for (int half = 0; half < 2; half++) {
    const __m256i top = load256(block + (4 + half) * FT_VECTOR_BYTES);
    __m256i *own = q + 4 * half;
    own[0] = _mm256_or_si256(own[0], _mm256_and_si256(_mm256_slli_epi16(top, 4), pair));
    own[1] = _mm256_or_si256(own[1], _mm256_and_si256(_mm256_slli_epi16(top, 2), pair));
    own[2] = _mm256_or_si256(own[2], _mm256_and_si256(top, pair));
    own[3] = _mm256_or_si256(own[3], _mm256_and_si256(_mm256_srli_epi16(top, 2), pair));
  }
}

/// 16-bit sums of 16 columns, q[0] to q[3], from `zeros` for `count` (1 or 2) activation rows.
FT_INLINE void dot_sixteen(int32_t count, const __m256i *q, const int8_t *a, const int16_t *zeros,
                           __m256i out[2]) {
  for (int i = 0; i < count; i++) {
    out[i] = broadcast4(zeros + i * FT_BLOCK_HALVES);
    FT_PIN(out[i]);
  }
  for (int t = 0; t < 4; t++) {
    __m256i part[2];
    for (int i = 0; i < count; i++) {
      part[i] = _mm256_maddubs_epi16(q[t], broadcast4(a + 4 * t + i * FT_BLOCK_COLUMNS));
      FT_PIN(part[i]);
    }
    for (int i = 0; i < count; i++) {
      out[i] = _mm256_add_epi16(out[i], part[i]);
      FT_PIN(out[i]);
    }
  }
}

/// Adds one unpacked block, whose 16-bit scales are `scale0` and `scale1`, to the sums of all
/// activation rows.
FT_INLINE void add_block(const __m256i q[FT_BLOCK_VECTORS], __m256 scale, __m256i scale0,
                         __m256i scale1, const ft_tile *tile, size_t entry, int32_t rows,
                         __m256 *products) {
  for (int32_t row = 0; row < rows; row += 2) {
    const size_t own = entry + (size_t)row;
    const int32_t count = rows - row < 2 ? 1 : 2;
    const int8_t *values = tile->values + own * FT_BLOCK_COLUMNS;
    const int16_t *zeros = tile->halves + own * FT_BLOCK_HALVES;
    __m256i first[2], second[2];
    dot_sixteen(count, q, values, zeros, first);
    dot_sixteen(count, q + 4, values + 16, zeros + 2, second);
    for (int32_t i = 0; i < count; i++) {
      const __m256i sum = _mm256_add_epi32(_mm256_madd_epi16(first[i], scale0),
                                           _mm256_madd_epi16(second[i], scale1));
      products[row + i] = add_products(products[row + i], scale, tile->scales + own + i, sum);
    }
  }
}

FT_INLINE void multiply_group(const ft_format *format, const ft_group_target *target,
                              const ft_tile *tile, int32_t rows, size_t out_stride) {
  const int32_t block_bytes = 6 * FT_VECTOR_BYTES;
  const uint8_t *next = target->weights;
  size_t entry = 0;
  __m256 products[FT_TILE_ROWS];
  for (int32_t row = 0; row < rows; row++) products[row] = _mm256_setzero_ps();
  for (int32_t super = 0; super < format->full_supers; super++) {
    const uint8_t *header = next;
    const int32_t header_bytes = (int32_t)ft_header_bytes(FT_HEADER_SIXTEEN, FT_SUPER_BLOCKS);
    prefetch_stream(next, header_bytes);
    const __m256 scale = _mm256_loadu_ps((const float *)header);
    next += header_bytes;
    for (int32_t block = 0; block < FT_SUPER_BLOCKS; block++, entry += (size_t)tile->stride) {
      __m256i q[FT_BLOCK_VECTORS];
      prefetch_stream(next, block_bytes);
      unpack6(next, q);
      const uint8_t *integers = header + 32 + block * 2 * FT_GROUP_ROWS;
      const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)integers));
      add_block(q, scale, duplicate_rows(_mm256_castsi256_si128(wide)),
                duplicate_rows(_mm256_extracti128_si256(wide, 1)), tile, entry, rows, products);
      next += block_bytes;
    }
  }
  for (int32_t row = 0; row < rows; row++) {
    store_rows(target->out + (size_t)row * out_stride, products[row], target->valid);
  }
}

void ft_matmul_group_avx2_int6(const ft_matrix *matrix, const ft_format *format,
                               const ft_group_target *target, const ft_tile *tile,
                               size_t out_stride) {
  (void)matrix;
#define MULTIPLY(rows) multiply_group(format, target, tile, rows, out_stride)
  FT_FOR_TILE_ROWS(tile->rows, MULTIPLY)
#undef MULTIPLY
}

#pragma clang attribute pop
#endif
