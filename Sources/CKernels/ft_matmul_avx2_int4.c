#include "ft_isa.h"

#if FT_HAS_X86
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "ft_matmul_avx2.h"

// INT4 and INT5: a block is unpacked once into eight registers, then every activation row of the
// tile meets it, two rows at a time so that two independent sums are in flight.

FT_INLINE void unpack4(const uint8_t *block, __m256i q[FT_BLOCK_VECTORS]) {
  const __m256i mask = _mm256_set1_epi8(15);
  for (int t = 0; t < 4; t++) {
    const __m256i bytes = load256(block + t * FT_VECTOR_BYTES);
    q[t] = _mm256_and_si256(bytes, mask);
    q[t + 4] = high_nibbles(bytes);
  }
}

FT_INLINE void unpack5(const uint8_t *block, __m256i q[FT_BLOCK_VECTORS]) {
  unpack4(block, q);
  const __m256i fifth = load256(block + 4 * FT_VECTOR_BYTES);
  const __m256i bit = _mm256_set1_epi8(16);
  q[0] = _mm256_or_si256(q[0], _mm256_and_si256(_mm256_slli_epi16(fifth, 4), bit));
  q[1] = _mm256_or_si256(q[1], _mm256_and_si256(_mm256_slli_epi16(fifth, 3), bit));
  q[2] = _mm256_or_si256(q[2], _mm256_and_si256(_mm256_slli_epi16(fifth, 2), bit));
  q[3] = _mm256_or_si256(q[3], _mm256_and_si256(_mm256_slli_epi16(fifth, 1), bit));
  q[4] = _mm256_or_si256(q[4], _mm256_and_si256(fifth, bit));
  q[5] = _mm256_or_si256(q[5], _mm256_and_si256(_mm256_srli_epi16(fifth, 1), bit));
  q[6] = _mm256_or_si256(q[6], _mm256_and_si256(_mm256_srli_epi16(fifth, 2), bit));
  q[7] = _mm256_or_si256(q[7], _mm256_and_si256(_mm256_srli_epi16(fifth, 3), bit));
}

// Two activation rows in step: two independent products, then two independent sums. Written out
// because compilers re-associate the sums and spread the loads, which costs 10 to 15 %.
#define START_PAIR                        \
  "vpbroadcastd (%[a]), %[x]\n\t"         \
  "vpbroadcastd 32(%[a]), %[y]\n\t"       \
  "vpmaddubsw %[x], %[q0], %[x]\n\t"      \
  "vpmaddubsw %[y], %[q0], %[y]\n\t"
#define STEP_PAIR(first, second, q)               \
  "vpbroadcastd " #first "(%[a]), %[u]\n\t"       \
  "vpbroadcastd " #second "(%[a]), %[v]\n\t"      \
  "vpmaddubsw %[u], %[" #q "], %[u]\n\t"          \
  "vpmaddubsw %[v], %[" #q "], %[v]\n\t"          \
  "vpaddw %[u], %[x], %[x]\n\t"                   \
  "vpaddw %[v], %[y], %[y]\n\t"

/// 16-bit sums of 32 columns for two activation rows.
FT_INLINE void dot_pair(const __m256i q[FT_BLOCK_VECTORS], const int8_t *a, __m256i *first,
                        __m256i *second) {
  __m256i x, y, u, v;
  __asm__(START_PAIR STEP_PAIR(4, 36, q1) STEP_PAIR(8, 40, q2) STEP_PAIR(12, 44, q3)
              STEP_PAIR(16, 48, q4) STEP_PAIR(20, 52, q5) STEP_PAIR(24, 56, q6)
                  STEP_PAIR(28, 60, q7)
          : [x] "=&x"(x), [y] "=&x"(y), [u] "=&x"(u), [v] "=&x"(v)
          : [a] "r"(a), [q0] "x"(q[0]), [q1] "x"(q[1]), [q2] "x"(q[2]), [q3] "x"(q[3]),
            [q4] "x"(q[4]), [q5] "x"(q[5]), [q6] "x"(q[6]), [q7] "x"(q[7]),
            "m"(*(const int8_t(*)[2 * FT_BLOCK_COLUMNS])a));
  *first = x;
  *second = y;
}

/// The same for the 16 columns of four vectors; `a` is where they start.
FT_INLINE void dot_half_pair(const __m256i q[4], const int8_t *a, __m256i *first,
                             __m256i *second) {
  __m256i x, y, u, v;
  __asm__(START_PAIR STEP_PAIR(4, 36, q1) STEP_PAIR(8, 40, q2) STEP_PAIR(12, 44, q3)
          : [x] "=&x"(x), [y] "=&x"(y), [u] "=&x"(u), [v] "=&x"(v)
          : [a] "r"(a), [q0] "x"(q[0]), [q1] "x"(q[1]), [q2] "x"(q[2]), [q3] "x"(q[3]),
            "m"(*(const int8_t(*)[FT_BLOCK_COLUMNS + 16])a));
  *first = x;
  *second = y;
}

/// The same for one activation row, in two sums.
FT_INLINE void dot_single(const __m256i q[FT_BLOCK_VECTORS], const int8_t *a, __m256i *low,
                          __m256i *high) {
  __m256i x = _mm256_maddubs_epi16(q[0], broadcast4(a));
  __m256i y = _mm256_maddubs_epi16(q[4], broadcast4(a + 16));
  for (int t = 1; t < 4; t++) {
    x = _mm256_add_epi16(x, _mm256_maddubs_epi16(q[t], broadcast4(a + 4 * t)));
    y = _mm256_add_epi16(y, _mm256_maddubs_epi16(q[t + 4], broadcast4(a + 16 + 4 * t)));
  }
  *low = x;
  *high = y;
}

/// 32-bit dot products of one unpacked block and one or two activation rows. 16 products of 15 x 127
/// fit 16 bits; of 31 x 127 only 8 do, so INT5 goes to 32 bits after half a block.
FT_INLINE void dot_rows(bool five, int32_t count, const __m256i q[FT_BLOCK_VECTORS],
                        const int8_t *values, __m256i out[2]) {
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i x, y;
  if (count == 1) {
    dot_single(q, values, &x, &y);
    out[0] = five ? _mm256_add_epi32(_mm256_madd_epi16(x, ones), _mm256_madd_epi16(y, ones))
                  : _mm256_madd_epi16(_mm256_add_epi16(x, y), ones);
    return;
  }
  if (!five) {
    dot_pair(q, values, &x, &y);
    out[0] = _mm256_madd_epi16(x, ones);
    out[1] = _mm256_madd_epi16(y, ones);
    return;
  }
  __m256i u, v;
  dot_half_pair(q, values, &x, &y);
  dot_half_pair(q + 4, values + 16, &u, &v);
  out[0] = _mm256_add_epi32(_mm256_madd_epi16(x, ones), _mm256_madd_epi16(u, ones));
  out[1] = _mm256_add_epi32(_mm256_madd_epi16(y, ones), _mm256_madd_epi16(v, ones));
}

/// Adds one unpacked block to the sums of all activation rows; `entry` is its place in the planes
/// of the first.
FT_INLINE void add_block(bool five, bool scaled, const __m256i q[FT_BLOCK_VECTORS], __m256 scale,
                         const ft_tile *tile, size_t entry, int32_t rows, __m256 *products) {
  for (int32_t row = 0; row < rows; row += 2) {
    const size_t own = entry + (size_t)row;
    const int32_t count = rows - row < 2 ? 1 : 2;
    __m256i dots[2];
    dot_rows(five, count, q, tile->values + own * FT_BLOCK_COLUMNS, dots);
    for (int32_t i = 0; i < count; i++) {
      if (scaled) {
        const __m256i zeros = broadcast4(tile->zeros + own + i);
        dots[i] = _mm256_add_epi32(dots[i], five ? _mm256_slli_epi32(zeros, 1) : zeros);
      }
      products[row + i] = add_products(products[row + i], scale, tile->scales + own + i, dots[i]);
    }
  }
}

/// Adds the offsets of one super-block.
FT_INLINE void add_offsets(const ft_super_avx2 *super, int32_t blocks, const ft_tile *tile,
                           size_t entry, int32_t rows, __m256 *offsets) {
  for (int32_t row = 0; row < rows; row++) {
    const float *own = tile->offsets + entry + (size_t)row;
    __m256 sum = offsets[row];
    for (int32_t block = 0; block < blocks; block++, own += tile->stride) {
      const __m256 term = _mm256_mul_ps(super->offsets[block], _mm256_broadcast_ss(own));
      sum = _mm256_add_ps(sum, term);
    }
    offsets[row] = sum;
  }
}

FT_INLINE void multiply_group(bool five, bool scaled, const ft_format *format,
                              const ft_group_target *target, const ft_tile *tile, int32_t rows,
                              size_t out_stride) {
  const int32_t block_bytes = (five ? 5 : 4) * FT_VECTOR_BYTES;
  const uint8_t *next = target->weights;
  size_t entry = 0;
  __m256 products[FT_TILE_ROWS], offsets[FT_TILE_ROWS];
  for (int32_t row = 0; row < rows; row++) products[row] = offsets[row] = _mm256_setzero_ps();
  const int32_t supers = format->full_supers + (format->tail_blocks > 0);
  for (int32_t index = 0; index < supers; index++) {
    const int32_t blocks = index < format->full_supers ? FT_SUPER_BLOCKS : format->tail_blocks;
    const int32_t header_bytes = (int32_t)ft_header_bytes(format->header, blocks);
    ft_super_avx2 super;
    prefetch_stream(next, header_bytes);
    load_super(format, next, blocks, &super);
    next += header_bytes;
    if (!scaled) add_offsets(&super, blocks, tile, entry, rows, offsets);
    for (int32_t block = 0; block < blocks; block++, entry += (size_t)tile->stride) {
      __m256i q[FT_BLOCK_VECTORS];
      prefetch_stream(next, block_bytes);
      if (five) {
        unpack5(next, q);
      } else {
        unpack4(next, q);
      }
      add_block(five, scaled, q, super.scales[block], tile, entry, rows, products);
      next += block_bytes;
    }
  }
  for (int32_t row = 0; row < rows; row++) {
    store_rows(target->out + (size_t)row * out_stride, _mm256_add_ps(products[row], offsets[row]),
               target->valid);
  }
}

void ft_matmul_group_avx2_int4(const ft_matrix *matrix, const ft_format *format,
                               const ft_group_target *target, const ft_tile *tile,
                               size_t out_stride) {
  (void)matrix;
#define SCALED(rows) multiply_group(false, true, format, target, tile, rows, out_stride)
#define AFFINE(rows) multiply_group(false, false, format, target, tile, rows, out_stride)
  if (format->header == FT_HEADER_SCALED) {
    FT_FOR_TILE_ROWS(tile->rows, SCALED)
  } else {
    FT_FOR_TILE_ROWS(tile->rows, AFFINE)
  }
#undef SCALED
#undef AFFINE
}

void ft_matmul_group_avx2_int5(const ft_matrix *matrix, const ft_format *format,
                               const ft_group_target *target, const ft_tile *tile,
                               size_t out_stride) {
  (void)matrix;
#define SCALED(rows) multiply_group(true, true, format, target, tile, rows, out_stride)
#define AFFINE(rows) multiply_group(true, false, format, target, tile, rows, out_stride)
  if (format->header == FT_HEADER_SCALED) {
    FT_FOR_TILE_ROWS(tile->rows, SCALED)
  } else {
    FT_FOR_TILE_ROWS(tile->rows, AFFINE)
  }
#undef SCALED
#undef AFFINE
}

#pragma clang attribute pop
#endif
