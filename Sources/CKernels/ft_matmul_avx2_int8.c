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

FT_INLINE void add_block(const uint8_t *block, __m256 scale, const ft_tile *tile, size_t entry,
                         __m256 *products) {
  const int8_t *values = tile->values + entry * FT_BLOCK_COLUMNS;
  __m256i first[FT_TILE_ROWS];
  half_block q = unpack8(block);
  for (int32_t row = 0; row < tile->rows; row++) {
    first[row] = dot_sixteen(&q, values + row * FT_BLOCK_COLUMNS);
  }
  q = unpack8(block + 4 * FT_VECTOR_BYTES);
  for (int32_t row = 0; row < tile->rows; row++) {
    const __m256i second = dot_sixteen(&q, values + row * FT_BLOCK_COLUMNS + 16);
    const __m256 activation = _mm256_broadcast_ss(tile->scales + entry + row);
    products[row] = add_scaled(products[row], _mm256_mul_ps(scale, activation),
                               _mm256_add_epi32(first[row], second));
  }
}

void ft_matmul_group_avx2_int8(const ft_matrix *matrix, const ft_format *format,
                               const ft_group_target *target, const ft_tile *given,
                               size_t out_stride) {
  (void)matrix;
  const ft_tile copy = *given, *tile = &copy;  // that no store to the sums can change
  const int32_t block_bytes = FT_BLOCK_VECTORS * FT_VECTOR_BYTES;
  const uint8_t *next = target->weights;
  size_t entry = 0;
  __m256 products[FT_TILE_ROWS];
  for (int32_t row = 0; row < tile->rows; row++) products[row] = _mm256_setzero_ps();
  const int32_t supers = format->full_supers + (format->tail_blocks > 0);
  for (int32_t super = 0; super < supers; super++) {
    const int32_t blocks = super < format->full_supers ? FT_SUPER_BLOCKS : format->tail_blocks;
    const uint8_t *scales = next;
    prefetch_near(next, 16 * blocks);
    next += ft_header_bytes(FT_HEADER_FLOATS, blocks);
    for (int32_t block = 0; block < blocks; block++, entry += (size_t)tile->stride) {
      prefetch_near(next, block_bytes);
      add_block(next, load_halves8(scales + 16 * block), tile, entry, products);
      next += block_bytes;
    }
  }
  for (int32_t row = 0; row < tile->rows; row++) {
    store_rows(target->out + (size_t)row * out_stride, products[row], target->valid);
  }
}

#pragma clang attribute pop
#endif
