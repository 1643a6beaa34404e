#include "ft_isa.h"

#if FT_HAS_X86
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "ft_matmul_avx2.h"

// INT6: 8 products of 63 x 127 overflow 16 bits, but with the zero taken off they are at most
// 8 x 32 x 127 = 32512. So the 16-bit sum starts from -32 times the sum of its activations and may
// wrap on the way: the end is exact, and one multiplication with the scale serves 16 columns.

/// 16-bit sums of 16 columns, q[0] to q[3], from `zeros` for `count` (1 or 2) activation rows.
FT_INLINE void dot_sixteen(int32_t count, const __m256i *q, const int8_t *a, const int16_t *zeros,
                           __m256i out[2]) {
  for (int i = 0; i < count; i++) {
    out[i] = broadcast4(zeros + i * 4);
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

/// Adds one unpacked block, whose 16-bit scales are `scale0` and `scale1`, to the sums of `count`
/// (1 or 2) activation rows; `entry` is its place in the planes of the first.
FT_INLINE void add_rows(int32_t count, const __m256i q[FT_BLOCK_VECTORS], __m256i scale0,
                        __m256i scale1, const ft_tile *tile, size_t entry, __m256 *sums) {
  const int8_t *values = tile->values + entry * FT_BLOCK_COLUMNS;
  const int16_t *zeros = tile->half_pairs + entry * 4;
  __m256i first[2], second[2];
  dot_sixteen(count, q, values, zeros, first);
  dot_sixteen(count, q + 4, values + 16, zeros + 2, second);
  for (int32_t i = 0; i < count; i++) {
    const __m256i dot = _mm256_add_epi32(_mm256_madd_epi16(first[i], scale0),
                                         _mm256_madd_epi16(second[i], scale1));
    sums[i] = add_scaled(sums[i], _mm256_broadcast_ss(tile->scales + entry + i), dot);
  }
}

void ft_matmul_group_avx2_int6(const ft_matrix *matrix, const ft_format *format,
                               const ft_group_target *target, const ft_tile *given,
                               size_t out_stride) {
  (void)matrix;
  const ft_tile copy = *given, *tile = &copy;  // that no store to the sums can change
  const int32_t block_bytes = 6 * FT_VECTOR_BYTES, rows = tile->rows;
  const int32_t header_bytes = (int32_t)ft_header_bytes(FT_HEADER_SIXTEEN, FT_SUPER_BLOCKS);
  const uint8_t *next = target->weights;
  size_t entry = 0;
  __m256 sums[FT_TILE_ROWS], products[FT_TILE_ROWS];
  for (int32_t row = 0; row < rows; row++) sums[row] = products[row] = _mm256_setzero_ps();
  for (int32_t super = 0; super < format->full_supers; super++) {
    const uint8_t *header = next;
    prefetch_near(next, header_bytes);
    next += header_bytes;
    for (int32_t block = 0; block < FT_SUPER_BLOCKS; block++, entry += (size_t)tile->stride) {
      __m256i q[FT_BLOCK_VECTORS];
      prefetch_near(next, block_bytes);
      unpack6(next, q);
      const uint8_t *integers = header + 32 + block * 2 * FT_GROUP_ROWS;
      const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)integers));
      const __m256i scale0 = duplicate_rows(_mm256_castsi256_si128(wide));
      const __m256i scale1 = duplicate_rows(_mm256_extracti128_si256(wide, 1));
      int32_t row = 0;
      for (; row + 2 <= rows; row += 2) {
        add_rows(2, q, scale0, scale1, tile, entry + (size_t)row, sums + row);
      }
      if (row < rows) add_rows(1, q, scale0, scale1, tile, entry + (size_t)row, sums + row);
      next += block_bytes;
    }
    const __m256 scale = _mm256_loadu_ps((const float *)header);
    for (int32_t row = 0; row < rows; row++) {
      products[row] = _mm256_add_ps(products[row], _mm256_mul_ps(scale, sums[row]));
      sums[row] = _mm256_setzero_ps();
    }
  }
  for (int32_t row = 0; row < rows; row++) {
    store_rows(target->out + (size_t)row * out_stride, products[row], target->valid);
  }
}

#pragma clang attribute pop
#endif
