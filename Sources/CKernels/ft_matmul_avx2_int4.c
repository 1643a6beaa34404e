#include "ft_isa.h"

#if FT_HAS_X86
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "ft_matmul_avx2.h"

// INT4 and INT5: a block is unpacked once into eight registers, then every activation row of the
// tile meets it, two rows at a time so that two independent sums are in flight.

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
FT_INLINE void dot_pair(const __m256i q[FT_BLOCK_VECTORS], const int8_t *a, __m256i sums[2]) {
  __m256i x, y, u, v;
  __asm__(START_PAIR STEP_PAIR(4, 36, q1) STEP_PAIR(8, 40, q2) STEP_PAIR(12, 44, q3)
              STEP_PAIR(16, 48, q4) STEP_PAIR(20, 52, q5) STEP_PAIR(24, 56, q6)
                  STEP_PAIR(28, 60, q7)
          : [x] "=&x"(x), [y] "=&x"(y), [u] "=&x"(u), [v] "=&x"(v)
          : [a] "r"(a), [q0] "x"(q[0]), [q1] "x"(q[1]), [q2] "x"(q[2]), [q3] "x"(q[3]),
            [q4] "x"(q[4]), [q5] "x"(q[5]), [q6] "x"(q[6]), [q7] "x"(q[7]),
            "m"(*(const int8_t(*)[2 * FT_BLOCK_COLUMNS])a));
  sums[0] = x;
  sums[1] = y;
}

/// The same for the 16 columns of four vectors; `a` is where they start.
FT_INLINE void dot_half_pair(const __m256i q[4], const int8_t *a, __m256i sums[2]) {
  __m256i x, y, u, v;
  __asm__(START_PAIR STEP_PAIR(4, 36, q1) STEP_PAIR(8, 40, q2) STEP_PAIR(12, 44, q3)
          : [x] "=&x"(x), [y] "=&x"(y), [u] "=&x"(u), [v] "=&x"(v)
          : [a] "r"(a), [q0] "x"(q[0]), [q1] "x"(q[1]), [q2] "x"(q[2]), [q3] "x"(q[3]),
            "m"(*(const int8_t(*)[FT_BLOCK_COLUMNS + 16])a));
  sums[0] = x;
  sums[1] = y;
}

/// 16-bit sums of 16 columns for one activation row.
FT_INLINE __m256i dot_half(const __m256i q[4], const int8_t *a) {
  const __m256i x = _mm256_add_epi16(_mm256_maddubs_epi16(q[0], broadcast4(a)),
                                     _mm256_maddubs_epi16(q[1], broadcast4(a + 4)));
  const __m256i y = _mm256_add_epi16(_mm256_maddubs_epi16(q[2], broadcast4(a + 8)),
                                     _mm256_maddubs_epi16(q[3], broadcast4(a + 12)));
  return _mm256_add_epi16(x, y);
}

/// scale * dot of one unpacked block and `count` (1 or 2) activation rows, 32 bits. 16 products of
/// 15 x 127, or of 16 x 127 once the zero is off, fit 16 bits, though unsigned quants may wrap on
/// the way; of 31 x 127 only 8 do, so INT5 with offsets goes to 32 bits after half a block.
FT_INLINE void scaled_dots(bool five, bool affine, int32_t count,
                           const __m256i q[FT_BLOCK_VECTORS], __m256i scale, const ft_tile *tile,
                           size_t entry, __m256i out[2]) {
  const int8_t *values = tile->values + entry * FT_BLOCK_COLUMNS;
  __m256i first[2], second[2];
  const bool halves = count == 1 || (five && affine);
  if (count == 1) {
    first[0] = dot_half(q, values);
    second[0] = dot_half(q + 4, values + 16);
  } else if (halves) {
    dot_half_pair(q, values, first);
    dot_half_pair(q + 4, values + 16, second);
  } else {
    dot_pair(q, values, first);
  }
  for (int32_t i = 0; i < count; i++) {
    if (five && affine) {
      out[i] = _mm256_add_epi32(_mm256_madd_epi16(first[i], scale),
                                _mm256_madd_epi16(second[i], scale));
      continue;
    }
    __m256i sum = halves ? _mm256_add_epi16(first[i], second[i]) : first[i];
    if (!affine) {
      const __m256i zeros = broadcast4(tile->pair_zeros + 2 * (entry + (size_t)i));
      sum = _mm256_add_epi16(sum, five ? _mm256_slli_epi16(zeros, 1) : zeros);
    }
    out[i] = _mm256_madd_epi16(sum, scale);
  }
}

/// Adds one unpacked block to the sums of `count` (1 or 2) activation rows; `entry` is its place in
/// the planes of the first.
FT_INLINE void add_rows(bool five, bool affine, int32_t count, const __m256i q[FT_BLOCK_VECTORS],
                        __m256i scale, const ft_tile *tile, size_t entry, __m256 *sums) {
  __m256i dots[2];
  scaled_dots(five, affine, count, q, scale, tile, entry, dots);
  for (int32_t i = 0; i < count; i++) {
    sums[i] = add_scaled(sums[i], _mm256_broadcast_ss(tile->scales + entry + i), dots[i]);
  }
}

/// Adds a super-block's sums to the totals of one activation row; `entry` is the place of its first
/// block.
FT_INLINE void flush_row(bool affine, const ft_super_avx2 *super, int32_t blocks,
                         const ft_tile *tile, size_t entry, __m256 *sum, __m256 *product,
                         __m256 *offset) {
  *product = _mm256_add_ps(*product, _mm256_mul_ps(super->scale, *sum));
  *sum = _mm256_setzero_ps();
  if (!affine) return;
  __m256 own = _mm256_setzero_ps();
  for (int32_t block = 0; block < blocks; block++, entry += (size_t)tile->stride) {
    const __m256 activation = _mm256_broadcast_ss(tile->offsets + entry);
    own = _mm256_add_ps(own, _mm256_mul_ps(super->offsets[block], activation));
  }
  *offset = _mm256_add_ps(*offset, _mm256_mul_ps(super->offset_scale, own));
}

FT_INLINE void multiply_group(bool five, bool affine, const ft_format *format,
                              const ft_group_target *target, const ft_tile *given,
                              size_t out_stride) {
  const ft_tile copy = *given, *tile = &copy;  // that no store to the sums can change
  const int32_t block_bytes = (five ? 5 : 4) * FT_VECTOR_BYTES, rows = tile->rows;
  const uint8_t *next = target->weights;
  size_t entry = 0;
  __m256 sums[FT_TILE_ROWS], products[FT_TILE_ROWS], offsets[FT_TILE_ROWS];
  for (int32_t row = 0; row < rows; row++) {
    sums[row] = products[row] = offsets[row] = _mm256_setzero_ps();
  }
  const int32_t supers = format->full_supers + (format->tail_blocks > 0);
  for (int32_t index = 0; index < supers; index++) {
    const int32_t blocks = index < format->full_supers ? FT_SUPER_BLOCKS : format->tail_blocks;
    const int32_t header_bytes = (int32_t)ft_header_bytes(format->header, blocks);
    const size_t first = entry;
    ft_super_avx2 super;
    prefetch_near(next, header_bytes);
    load_super(format, next, blocks, &super);
    next += header_bytes;
    for (int32_t block = 0; block < blocks; block++, entry += (size_t)tile->stride) {
      __m256i q[FT_BLOCK_VECTORS];
      prefetch_near(next, block_bytes);
      if (five) {
        unpack5(next, q);
      } else {
        unpack4(next, q);
      }
      const __m256i scale = duplicate_rows(super.scales[block]);
      int32_t row = 0;
      for (; row + 2 <= rows; row += 2) {
        add_rows(five, affine, 2, q, scale, tile, entry + (size_t)row, sums + row);
      }
      if (row < rows) add_rows(five, affine, 1, q, scale, tile, entry + (size_t)row, sums + row);
      next += block_bytes;
    }
    for (int32_t row = 0; row < rows; row++) {
      flush_row(affine, &super, blocks, tile, first + (size_t)row, sums + row, products + row,
                offsets + row);
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
  if (format->header == FT_HEADER_SCALED) {
    multiply_group(false, false, format, target, tile, out_stride);
  } else {
    multiply_group(false, true, format, target, tile, out_stride);
  }
}

void ft_matmul_group_avx2_int5(const ft_matrix *matrix, const ft_format *format,
                               const ft_group_target *target, const ft_tile *tile,
                               size_t out_stride) {
  (void)matrix;
  if (format->header == FT_HEADER_SCALED) {
    multiply_group(true, false, format, target, tile, out_stride);
  } else {
    multiply_group(true, true, format, target, tile, out_stride);
  }
}

#pragma clang attribute pop
#endif
