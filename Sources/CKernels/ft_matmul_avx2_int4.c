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

/// Adds one unpacked block to the 32-bit sums of all activation rows. 16 products of 15 x 127 fit
/// 16 bits; of 31 x 127 only 8 do, so INT5 goes to 32 bits after half a block.
FT_INLINE void add_block(bool five, const __m256i q[FT_BLOCK_VECTORS], __m256i scale,
                         const int8_t *values, int32_t rows, __m256i *products) {
  int32_t row = 0;
  for (; row + 2 <= rows; row += 2, values += 2 * FT_BLOCK_COLUMNS) {
    __m256i x, y;
    if (five) {
      __m256i u, v;
      dot_half_pair(q, values, &x, &y);
      x = _mm256_madd_epi16(x, scale);
      y = _mm256_madd_epi16(y, scale);
      dot_half_pair(q + 4, values + 16, &u, &v);
      x = _mm256_add_epi32(x, _mm256_madd_epi16(u, scale));
      y = _mm256_add_epi32(y, _mm256_madd_epi16(v, scale));
    } else {
      dot_pair(q, values, &x, &y);
      x = _mm256_madd_epi16(x, scale);
      y = _mm256_madd_epi16(y, scale);
    }
    products[row] = _mm256_add_epi32(products[row], x);
    products[row + 1] = _mm256_add_epi32(products[row + 1], y);
  }
  if (row == rows) return;
  __m256i x, y;
  dot_single(q, values, &x, &y);
  if (five) {
    x = _mm256_add_epi32(_mm256_madd_epi16(x, scale), _mm256_madd_epi16(y, scale));
  } else {
    x = _mm256_madd_epi16(_mm256_add_epi16(x, y), scale);
  }
  products[row] = _mm256_add_epi32(products[row], x);
}

FT_INLINE void multiply_group(bool five, const ft_matrix *matrix, const ft_format *format,
                              int32_t group, const ft_tile *tile, int32_t rows, float *out,
                              size_t out_stride, int32_t valid_rows) {
  const int32_t block_bytes = (five ? 5 : 4) * FT_VECTOR_BYTES;
  const size_t block_values = (size_t)tile->stride * FT_BLOCK_COLUMNS;
  const uint8_t *next = (const uint8_t *)matrix->data + (size_t)group * format->group_bytes;
  const int8_t *values = tile->values;
  const int16_t *sums = tile->sums;
  const float *activation_scales = tile->scales;
  __m256 totals[FT_TILE_ROWS];
  for (int32_t row = 0; row < rows; row++) totals[row] = _mm256_setzero_ps();
  const int32_t supers = format->full_supers + (format->tail_blocks > 0);
  for (int32_t index = 0; index < supers; index++) {
    const int32_t blocks = index < format->full_supers ? FT_SUPER_BLOCKS : format->tail_blocks;
    const int32_t header_bytes = (int32_t)ft_header_bytes(format->header, blocks);
    ft_super_avx2 super;
    prefetch_stream(next, header_bytes);
    load_super(format, next, blocks, &super);
    next += header_bytes;
    for (int32_t first = 0; first < blocks; first += FT_GROUP_BLOCKS) {
      __m256i products[FT_TILE_ROWS];
      for (int32_t row = 0; row < rows; row++) products[row] = _mm256_setzero_si256();
      const int32_t end = first + FT_GROUP_BLOCKS < blocks ? first + FT_GROUP_BLOCKS : blocks;
      for (int32_t block = first; block < end; block++) {
        __m256i q[FT_BLOCK_VECTORS];
        prefetch_stream(next, block_bytes);
        if (five) {
          unpack5(next, q);
        } else {
          unpack4(next, q);
        }
        add_block(five, q, duplicate_rows(&super.scales[block]), values, rows, products);
        next += block_bytes;
        values += block_values;
      }
      __m256i pairs[FT_GROUP_PAIRS];
      for (int t = 0; t < FT_GROUP_PAIRS; t++) {
        pairs[t] = pair_rows(&super.offsets[first + 2 * t]);
      }
      for (int32_t row = 0; row < rows; row++) {
        totals[row] = flush_affine(totals[row], products[row], &super, pairs,
                                   sums + row * FT_GROUP_SUMS, activation_scales + row);
      }
      sums += tile->stride * FT_GROUP_SUMS;
      activation_scales += tile->stride;
    }
  }
  for (int32_t row = 0; row < rows; row++) {
    store_rows(out + (size_t)row * out_stride, totals[row], valid_rows);
  }
}

void ft_matmul_group_avx2_int4(const ft_matrix *matrix, const ft_format *format, int32_t group,
                               const ft_tile *tile, float *out, size_t out_stride,
                               int32_t valid_rows) {
#define MULTIPLY(rows) \
  multiply_group(false, matrix, format, group, tile, rows, out, out_stride, valid_rows)
  FT_FOR_TILE_ROWS(tile->rows, MULTIPLY)
#undef MULTIPLY
}

void ft_matmul_group_avx2_int5(const ft_matrix *matrix, const ft_format *format, int32_t group,
                               const ft_tile *tile, float *out, size_t out_stride,
                               int32_t valid_rows) {
#define MULTIPLY(rows) \
  multiply_group(true, matrix, format, group, tile, rows, out, out_stride, valid_rows)
  FT_FOR_TILE_ROWS(tile->rows, MULTIPLY)
#undef MULTIPLY
}

#pragma clang attribute pop
#endif
