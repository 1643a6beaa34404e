#include "ft_isa.h"

#if FT_HAS_X86
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "ft_matmul_avx2.h"

// INT4, INT5 and INT6 for many activation rows: two groups at a time. A block of each is unpacked
// once; then four rows at a time meet both, so that one broadcast serves two multiplications and one
// load of weights four. Loads are what limits the kernels of one group.

FT_INLINE void unpack(ft_layout layout, const uint8_t *block, __m256i q[FT_BLOCK_VECTORS]) {
  switch (layout) {
    case FT_LAYOUT_INT5: unpack5(block, q); return;
    case FT_LAYOUT_INT6: unpack6(block, q); return;
    default: unpack4(block, q); return;
  }
}

/// An unpacked block of both groups.
typedef struct ft_panel {
  __m256i q[2][FT_BLOCK_VECTORS];
} ft_panel;

// Four activation rows, two groups, one vector of each: written out because compilers re-associate
// the sums and spread the loads.
#define MULTIPLY_ROW(t, i, x, u)                                  \
  "vpbroadcastd 32*" #i "+4*" #t "(%[v]), %[" #x "]\n\t"          \
  "vpmaddubsw %[" #x "], %[wa], %[" #u "]\n\t"                    \
  "vpmaddubsw %[" #x "], %[wb], %[" #x "]\n\t"
#define ADD_ROW(i, x, u)                                          \
  "vpaddw %[" #u "], %[a" #i "], %[a" #i "]\n\t"                  \
  "vpaddw %[" #x "], %[b" #i "], %[b" #i "]\n\t"
#define MULTIPLY_QUAD(t)                                          \
  "vmovdqa 32*" #t "(%[p]), %[wa]\n\t"                            \
  "vmovdqa 256+32*" #t "(%[p]), %[wb]\n\t"                        \
  MULTIPLY_ROW(t, 0, x, u) MULTIPLY_ROW(t, 1, y, z)               \
  ADD_ROW(0, x, u) ADD_ROW(1, y, z)                               \
  MULTIPLY_ROW(t, 2, x, u) MULTIPLY_ROW(t, 3, y, z)               \
  ADD_ROW(2, x, u) ADD_ROW(3, y, z)

/// Adds 16 columns, half a block, to the 16-bit sums of four rows and both groups.
FT_INLINE void dot_quad(const ft_panel *panel, int half, const int8_t *values,
                        __m256i a[4], __m256i b[4]) {
  __m256i wa, wb, x, y, u, z;
  __asm__(MULTIPLY_QUAD(0) MULTIPLY_QUAD(1) MULTIPLY_QUAD(2) MULTIPLY_QUAD(3)
          : [a0] "+x"(a[0]), [a1] "+x"(a[1]), [a2] "+x"(a[2]), [a3] "+x"(a[3]), [b0] "+x"(b[0]),
            [b1] "+x"(b[1]), [b2] "+x"(b[2]), [b3] "+x"(b[3]), [wa] "=&x"(wa), [wb] "=&x"(wb),
            [x] "=&x"(x), [y] "=&x"(y), [u] "=&x"(u), [z] "=&x"(z)
          : [p] "r"(&panel->q[0][4 * half]), [v] "r"(values + 16 * half), "m"(*panel),
            "m"(*(const int8_t(*)[4 * FT_BLOCK_COLUMNS])values));
}

/// 16-bit sums of 16 columns for one activation row, from `sum`.
FT_INLINE __m256i dot_row(const __m256i q[4], const int8_t *values, __m256i sum) {
  const __m256i x = _mm256_add_epi16(_mm256_maddubs_epi16(q[0], broadcast4(values)),
                                     _mm256_maddubs_epi16(q[1], broadcast4(values + 4)));
  const __m256i y = _mm256_add_epi16(_mm256_maddubs_epi16(q[2], broadcast4(values + 8)),
                                     _mm256_maddubs_epi16(q[3], broadcast4(values + 12)));
  return _mm256_add_epi16(sum, _mm256_add_epi16(x, y));
}

/// What the variants of the kernel differ in.
typedef struct ft_variant {
  ft_layout layout;
  bool affine;  // offsets, and no zero
} ft_variant;

/// Whether half a block is all that 16 bits hold.
FT_INLINE bool halves(ft_variant v) {
  return v.layout == FT_LAYOUT_INT6 || (v.layout == FT_LAYOUT_INT5 && v.affine);
}

/// What the 16-bit sums of half a block start from.
FT_INLINE __m256i first_sum(ft_variant v, int half, const ft_tile *tile, size_t entry) {
  if (v.layout == FT_LAYOUT_INT6) return broadcast4(tile->half_pairs + 4 * entry + 2 * half);
  if (v.affine || half == 1) return _mm256_setzero_si256();
  const __m256i zeros = broadcast4(tile->pair_zeros + 2 * entry);
  return v.layout == FT_LAYOUT_INT5 ? _mm256_slli_epi16(zeros, 1) : zeros;
}

/// Integer scales of a block of one group, each twice in its row's lane; of INT6 one per 16 columns.
typedef struct ft_block_scales {
  __m256i s[2];
} ft_block_scales;

/// Adds one block of one group to the sum of one activation row.
FT_INLINE void add_row(ft_variant v, const __m256i q[FT_BLOCK_VECTORS],
                       const ft_block_scales *scales, const ft_tile *tile, size_t entry,
                       __m256 *sum) {
  const int8_t *values = tile->values + entry * FT_BLOCK_COLUMNS;
  const __m256i first = dot_row(q, values, first_sum(v, 0, tile, entry));
  const __m256i second =
      dot_row(q + 4, values + 16, halves(v) ? first_sum(v, 1, tile, entry) : first);
  __m256i dot = _mm256_madd_epi16(second, scales->s[v.layout == FT_LAYOUT_INT6 ? 1 : 0]);
  if (halves(v)) dot = _mm256_add_epi32(dot, _mm256_madd_epi16(first, scales->s[0]));
  *sum = add_scaled(*sum, _mm256_broadcast_ss(tile->scales + entry), dot);
}

/// Adds one block of both groups to the sums of four activation rows.
FT_INLINE void add_quad(ft_variant v, const ft_panel *panel, const ft_block_scales scales[2],
                        const ft_tile *tile, size_t entry, __m256 *sums[2]) {
  const int8_t *values = tile->values + entry * FT_BLOCK_COLUMNS;
  const int last = v.layout == FT_LAYOUT_INT6 ? 1 : 0;
  __m256i first[2][4], dots[2][4];
  for (int i = 0; i < 4; i++) first[0][i] = first[1][i] = first_sum(v, 0, tile, entry + i);
  dot_quad(panel, 0, values, first[0], first[1]);
  if (halves(v)) {
    for (int i = 0; i < 4; i++) {
      dots[0][i] = _mm256_madd_epi16(first[0][i], scales[0].s[0]);
      dots[1][i] = _mm256_madd_epi16(first[1][i], scales[1].s[0]);
      first[0][i] = first[1][i] = first_sum(v, 1, tile, entry + i);
    }
  }
  dot_quad(panel, 1, values, first[0], first[1]);
  for (int i = 0; i < 4; i++) {
    const __m256 activation = _mm256_broadcast_ss(tile->scales + entry + i);
    for (int g = 0; g < 2; g++) {
      __m256i dot = _mm256_madd_epi16(first[g][i], scales[g].s[last]);
      if (halves(v)) dot = _mm256_add_epi32(dot, dots[g][i]);
      sums[g][i] = add_scaled(sums[g][i], activation, dot);
    }
  }
}

/// Running sums of a tile and one group; the first are those of the super-block.
typedef struct ft_sums {
  __m256 sums[FT_TILE_ROWS];
  __m256 products[FT_TILE_ROWS];
  __m256 offsets[FT_TILE_ROWS];
} ft_sums;

/// Adds a super-block's sums to the totals of one group; `entry` is the place of its first block.
FT_INLINE void flush_super(ft_variant v, const ft_super_avx2 *super, int32_t blocks,
                           const ft_tile *tile, size_t entry, ft_sums *all) {
  for (int32_t row = 0; row < tile->rows; row++) {
    const __m256 product = _mm256_mul_ps(super->scale, all->sums[row]);
    all->products[row] = _mm256_add_ps(all->products[row], product);
    all->sums[row] = _mm256_setzero_ps();
    if (!v.affine) continue;
    const float *activation = tile->offsets + entry + (size_t)row;
    __m256 own = _mm256_setzero_ps();
    for (int32_t block = 0; block < blocks; block++, activation += tile->stride) {
      const __m256 m = super->offsets[block];
      own = _mm256_add_ps(own, _mm256_mul_ps(m, _mm256_broadcast_ss(activation)));
    }
    all->offsets[row] =
        _mm256_add_ps(all->offsets[row], _mm256_mul_ps(super->offset_scale, own));
  }
}

FT_INLINE ft_block_scales block_scales(ft_variant v, const ft_super_avx2 *super,
                                       const uint8_t *header, int32_t block) {
  ft_block_scales scales;
  if (v.layout == FT_LAYOUT_INT6) {
    const uint8_t *integers = header + 32 + block * 2 * FT_GROUP_ROWS;
    const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)integers));
    scales.s[0] = duplicate_rows(_mm256_castsi256_si128(wide));
    scales.s[1] = duplicate_rows(_mm256_extracti128_si256(wide, 1));
  } else {
    scales.s[0] = duplicate_rows(super->scales[block]);
  }
  return scales;
}

/// Adds a super-block of both groups at `next`, and moves `next` to the one after it.
FT_INLINE void add_super(ft_variant v, const ft_format *format, int32_t blocks,
                         const ft_tile *tile, size_t entry, const uint8_t *next[2],
                         ft_sums all[2]) {
  const int32_t header_bytes = (int32_t)ft_header_bytes(format->header, blocks);
  const int32_t quads = tile->rows / 4 * 4;
  const uint8_t *const header[2] = {next[0], next[1]};
  const size_t first = entry;
  ft_super_avx2 super[2];
  _Alignas(64) ft_panel panel;  // vectors that cross cache lines cost a tenth
  for (int g = 0; g < 2; g++) {
    prefetch_far(next[g], header_bytes);
    if (v.layout == FT_LAYOUT_INT6) {
      super[g].scale = _mm256_loadu_ps((const float *)next[g]);
    } else {
      load_super(format, next[g], blocks, &super[g]);
    }
    next[g] += header_bytes;
  }
  for (int32_t block = 0; block < blocks; block++, entry += (size_t)tile->stride) {
    ft_block_scales scales[2];
    for (int g = 0; g < 2; g++) {
      __m256i q[FT_BLOCK_VECTORS];
      prefetch_far(next[g], format->block_bytes);
      unpack(v.layout, next[g], q);
      next[g] += format->block_bytes;
      scales[g] = block_scales(v, &super[g], header[g], block);
      for (int32_t row = quads; row < tile->rows; row++) {
        add_row(v, q, &scales[g], tile, entry + (size_t)row, all[g].sums + row);
      }
      if (quads > 0) memcpy(panel.q[g], q, sizeof q);
    }
    for (int32_t row = 0; row < quads; row += 4) {
      __m256 *sums[2] = {all[0].sums + row, all[1].sums + row};
      add_quad(v, &panel, scales, tile, entry + (size_t)row, sums);
    }
  }
  for (int g = 0; g < 2; g++) flush_super(v, &super[g], blocks, tile, first, &all[g]);
}

FT_INLINE void multiply_pair(ft_variant v, const ft_format *format,
                             const ft_group_target *targets, const ft_tile *given,
                             size_t out_stride) {
  // A copy that no store to the sums can change, so that its pointers stay in registers.
  const ft_tile copy = *given, *tile = &copy;
  const uint8_t *next[2] = {targets[0].weights, targets[1].weights};
  ft_sums all[2];
  for (int g = 0; g < 2; g++) {
    for (int32_t row = 0; row < tile->rows; row++) {
      all[g].sums[row] = all[g].products[row] = all[g].offsets[row] = _mm256_setzero_ps();
    }
  }
  size_t entry = 0;
  for (int32_t index = 0; index < format->full_supers; index++) {
    add_super(v, format, FT_SUPER_BLOCKS, tile, entry, next, all);
    entry += (size_t)FT_SUPER_BLOCKS * (size_t)tile->stride;
  }
  if (format->tail_blocks > 0) add_super(v, format, format->tail_blocks, tile, entry, next, all);
  for (int g = 0; g < 2 && targets[g].valid > 0; g++) {
    for (int32_t row = 0; row < tile->rows; row++) {
      store_rows(targets[g].out + (size_t)row * out_stride,
                 _mm256_add_ps(all[g].products[row], all[g].offsets[row]), targets[g].valid);
    }
  }
}

void ft_matmul_pair_avx2_int4(const ft_matrix *matrix, const ft_format *format,
                              const ft_group_target *targets, const ft_tile *tile,
                              size_t out_stride) {
  (void)matrix;
  if (format->header == FT_HEADER_SCALED) {
    multiply_pair((ft_variant){FT_LAYOUT_INT4, false}, format, targets, tile, out_stride);
  } else {
    multiply_pair((ft_variant){FT_LAYOUT_INT4, true}, format, targets, tile, out_stride);
  }
}

void ft_matmul_pair_avx2_int5(const ft_matrix *matrix, const ft_format *format,
                              const ft_group_target *targets, const ft_tile *tile,
                              size_t out_stride) {
  (void)matrix;
  if (format->header == FT_HEADER_SCALED) {
    multiply_pair((ft_variant){FT_LAYOUT_INT5, false}, format, targets, tile, out_stride);
  } else {
    multiply_pair((ft_variant){FT_LAYOUT_INT5, true}, format, targets, tile, out_stride);
  }
}

void ft_matmul_pair_avx2_int6(const ft_matrix *matrix, const ft_format *format,
                              const ft_group_target *targets, const ft_tile *tile,
                              size_t out_stride) {
  (void)matrix;
  multiply_pair((ft_variant){FT_LAYOUT_INT6, false}, format, targets, tile, out_stride);
}

#pragma clang attribute pop
#endif
