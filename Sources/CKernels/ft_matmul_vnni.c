#include "ft_isa.h"

#if FT_HAS_X86
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push( \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))), \
    apply_to = function)
#include "ft_matmul_avx2.h"

// AVX-512 with VNNI: one vpdpbusd multiplies four columns of 16 rows, two groups at once, and adds
// them in 32 bits; the activations come as a broadcast from memory. Its weights are unsigned, so the
// zero comes off through the sum that the dot product starts from, which is exact as well.

/// Activation rows whose sums are under way at a time: enough to hide the latency of vpdpbusd.
#define ROWS_IN_STEP 4

/// Rows from which on software prefetches pay.
#define PREFETCH_ROWS 3

/// Vectors of 16 rows in an unpacked block.
typedef __m512i ft_block16[FT_BLOCK_VECTORS];

FT_INLINE __m512i both(__m256i first, __m256i second) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
}

FT_INLINE __m512 both_ps(__m256 first, __m256 second) {
  return _mm512_insertf32x8(_mm512_castps256_ps512(first), second, 1);
}

FT_INLINE __m512i load_both(const uint8_t *const next[2], int vector) {
  return both(load256(next[0] + vector * FT_VECTOR_BYTES),
              load256(next[1] + vector * FT_VECTOR_BYTES));
}

FT_INLINE void unpack4_both(const uint8_t *const next[2], ft_block16 q) {
  const __m512i mask = _mm512_set1_epi8(15);
  for (int t = 0; t < 4; t++) {
    const __m512i bytes = load_both(next, t);
    q[t] = _mm512_and_si512(bytes, mask);
    q[t + 4] = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), mask);
  }
}

/// a | (b & mask), one instruction.
FT_INLINE __m512i or_masked(__m512i a, __m512i b, __m512i mask) {
  return _mm512_ternarylogic_epi32(a, b, mask, 0xF8);
}

FT_INLINE void unpack5_both(const uint8_t *const next[2], ft_block16 q) {
  unpack4_both(next, q);
  const __m512i fifth = load_both(next, 4), bit = _mm512_set1_epi8(16);
  q[0] = or_masked(q[0], _mm512_slli_epi16(fifth, 4), bit);
  q[1] = or_masked(q[1], _mm512_slli_epi16(fifth, 3), bit);
  q[2] = or_masked(q[2], _mm512_slli_epi16(fifth, 2), bit);
  q[3] = or_masked(q[3], _mm512_slli_epi16(fifth, 1), bit);
  q[4] = or_masked(q[4], fifth, bit);
  q[5] = or_masked(q[5], _mm512_srli_epi16(fifth, 1), bit);
  q[6] = or_masked(q[6], _mm512_srli_epi16(fifth, 2), bit);
  q[7] = or_masked(q[7], _mm512_srli_epi16(fifth, 3), bit);
}

FT_INLINE void unpack6_both(const uint8_t *const next[2], ft_block16 q) {
  unpack4_both(next, q);
  const __m512i pair = _mm512_set1_epi8(0x30);
  for (int half = 0; half < 2; half++) {
    const __m512i top = load_both(next, 4 + half);
    __m512i *own = q + 4 * half;
    own[0] = or_masked(own[0], _mm512_slli_epi16(top, 4), pair);
    own[1] = or_masked(own[1], _mm512_slli_epi16(top, 2), pair);
    own[2] = or_masked(own[2], top, pair);
    own[3] = or_masked(own[3], _mm512_srli_epi16(top, 2), pair);
  }
}

/// Signed bytes as unsigned ones with a zero of 128.
FT_INLINE void unpack8_both(const uint8_t *const next[2], ft_block16 q) {
  const __m512i sign = _mm512_set1_epi8((char)0x80);
  for (int t = 0; t < FT_BLOCK_VECTORS; t++) q[t] = _mm512_xor_si512(load_both(next, t), sign);
}

FT_INLINE void unpack(ft_layout layout, const uint8_t *const next[2], ft_block16 q) {
  switch (layout) {
    case FT_LAYOUT_INT5: unpack5_both(next, q); return;
    case FT_LAYOUT_INT6: unpack6_both(next, q); return;
    case FT_LAYOUT_INT8: unpack8_both(next, q); return;
    default: unpack4_both(next, q); return;
  }
}

FT_INLINE __m512i broadcast16(const void *source) {
  int32_t word;
  memcpy(&word, source, sizeof word);
  return _mm512_set1_epi32(word);
}

/// The scales of a super-block of both groups. INT6 and INT8 read theirs block by block.
typedef struct ft_super16 {
  __m512 scale;
  __m512 offset_scale;
  __m512i scales[FT_SUPER_BLOCKS];  // s
  __m512 offsets[FT_SUPER_BLOCKS];  // m
} ft_super16;

static __attribute__((noinline)) void load_super16(const ft_format *format,
                                                   const uint8_t *const header[2],
                                                   int32_t blocks, ft_super16 *super) {
  ft_super_avx2 groups[2];
  load_super(format, header[0], blocks, &groups[0]);
  load_super(format, header[1], blocks, &groups[1]);
  super->scale = both_ps(groups[0].scale, groups[1].scale);
  for (int block = 0; block < FT_SUPER_BLOCKS; block++) {
    super->scales[block] = _mm512_cvtepi16_epi32(
        _mm256_set_m128i(groups[1].scales[block], groups[0].scales[block]));
  }
  if (format->header == FT_HEADER_SCALED) return;
  super->offset_scale = both_ps(groups[0].offset_scale, groups[1].offset_scale);
  for (int block = 0; block < FT_SUPER_BLOCKS; block++) {
    super->offsets[block] = both_ps(groups[0].offsets[block], groups[1].offsets[block]);
  }
}

/// s per 16 columns of INT6.
FT_INLINE __m512i integers16(const uint8_t *const header[2], int32_t part) {
  const uint8_t *first = header[0] + 32 + part * FT_GROUP_ROWS;
  const uint8_t *second = header[1] + 32 + part * FT_GROUP_ROWS;
  const __m128i rows = _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)first),
                                          _mm_loadl_epi64((const __m128i *)second));
  return _mm512_cvtepi8_epi32(rows);
}

/// What one unpacked block is multiplied with.
typedef struct ft_block_scales16 {
  __m512i integers[2];  // s; of INT6 one per 16 columns
  __m512 scale;         // INT8 only
} ft_block_scales16;

FT_INLINE ft_block_scales16 block_scales(ft_layout layout, const ft_super16 *super,
                                         const uint8_t *const header[2], int32_t block) {
  ft_block_scales16 scales;
  if (layout == FT_LAYOUT_INT6) {
    scales.integers[0] = integers16(header, 2 * block);
    scales.integers[1] = integers16(header, 2 * block + 1);
  } else if (layout == FT_LAYOUT_INT8) {
    scales.scale =
        both_ps(load_halves8(header[0] + 16 * block), load_halves8(header[1] + 16 * block));
  } else {
    scales.integers[0] = super->scales[block];
  }
  return scales;
}

/// Adds the products of vectors `begin` ..< `end` to the sums of `count` activation rows.
FT_INLINE void dot(int32_t count, int begin, int end, const ft_block16 q, const int8_t *values,
                   __m512i *sums) {
  for (int t = begin; t < end; t++) {
    for (int32_t i = 0; i < count; i++) {
      sums[i] = _mm512_dpbusd_epi32(sums[i], q[t],
                                    broadcast16(values + i * FT_BLOCK_COLUMNS + 4 * t));
    }
  }
}

/// Adds one unpacked block to the sums of `count` (up to ROWS_IN_STEP) activation rows; `entry` is
/// its place in the planes of the first. `zero_shift` turns `zeros` into what the layout's zero
/// needs, negative if it has none.
FT_INLINE void add_rows(ft_layout layout, int zero_shift, int32_t count, const ft_block16 q,
                        const ft_block_scales16 *scales, const ft_tile *tile, size_t entry,
                        __m512 *sums) {
  const int8_t *values = tile->values + entry * FT_BLOCK_COLUMNS;
  __m512i first[ROWS_IN_STEP], second[ROWS_IN_STEP];
  for (int32_t i = 0; i < count; i++) {
    if (layout == FT_LAYOUT_INT6) {
      first[i] = broadcast16(tile->half_zeros + 2 * (entry + (size_t)i));
      second[i] = broadcast16(tile->half_zeros + 2 * (entry + (size_t)i) + 1);
    } else if (zero_shift >= 0) {
      first[i] = broadcast16(tile->zeros + entry + i);
      // Compilers would shift before they broadcast, with a shuffle in place of a load.
      __asm__("" : "+v"(first[i]));
      first[i] = _mm512_slli_epi32(first[i], (unsigned)zero_shift);
    } else {
      first[i] = _mm512_setzero_si512();
    }
  }
  dot(count, 0, 4, q, values, first);
  dot(count, 4, 8, q, values, layout == FT_LAYOUT_INT6 ? second : first);
  for (int32_t i = 0; i < count; i++) {
    const __m512 activation = _mm512_set1_ps(tile->scales[entry + i]);
    if (layout == FT_LAYOUT_INT8) {
      const __m512 factor = _mm512_mul_ps(scales->scale, activation);
      sums[i] = _mm512_add_ps(sums[i], _mm512_mul_ps(factor, _mm512_cvtepi32_ps(first[i])));
      continue;
    }
    __m512i scaled = _mm512_mullo_epi32(first[i], scales->integers[0]);
    if (layout == FT_LAYOUT_INT6) {
      scaled = _mm512_add_epi32(scaled, _mm512_mullo_epi32(second[i], scales->integers[1]));
    }
    sums[i] = _mm512_add_ps(sums[i], _mm512_mul_ps(_mm512_cvtepi32_ps(scaled), activation));
  }
}

FT_INLINE void add_block(ft_layout layout, int zero_shift, const ft_block16 q,
                         const ft_block_scales16 *scales, const ft_tile *tile, size_t entry,
                         __m512 *sums) {
  int32_t row = 0;
  for (; row + ROWS_IN_STEP <= tile->rows; row += ROWS_IN_STEP) {
    add_rows(layout, zero_shift, ROWS_IN_STEP, q, scales, tile, entry + (size_t)row, sums + row);
  }
  switch (tile->rows - row) {
    case 3: add_rows(layout, zero_shift, 3, q, scales, tile, entry + row, sums + row); break;
    case 2: add_rows(layout, zero_shift, 2, q, scales, tile, entry + row, sums + row); break;
    case 1: add_rows(layout, zero_shift, 1, q, scales, tile, entry + row, sums + row); break;
    default: break;
  }
}

/// Running sums of a tile; the first are those of the super-block.
typedef struct ft_sums16 {
  __m512 sums[FT_TILE_ROWS];
  __m512 products[FT_TILE_ROWS];
  __m512 offsets[FT_TILE_ROWS];
} ft_sums16;

/// Adds a super-block's offsets to those of `count` activation rows; `entry` is the place of its
/// first block.
FT_INLINE void flush_offsets(int32_t count, const ft_super16 *super, int32_t blocks,
                             const ft_tile *tile, size_t entry, __m512 *offsets) {
  __m512 own[ROWS_IN_STEP];
  for (int32_t i = 0; i < count; i++) own[i] = _mm512_setzero_ps();
  for (int32_t block = 0; block < blocks; block++, entry += (size_t)tile->stride) {
    const __m512 m = super->offsets[block];
    for (int32_t i = 0; i < count; i++) {
      const __m512 activation = _mm512_set1_ps(tile->offsets[entry + i]);
      own[i] = _mm512_add_ps(own[i], _mm512_mul_ps(m, activation));
    }
  }
  for (int32_t i = 0; i < count; i++) {
    offsets[i] = _mm512_add_ps(offsets[i], _mm512_mul_ps(super->offset_scale, own[i]));
  }
}

/// Adds a super-block's sums to the totals; `entry` is the place of its first block.
FT_INLINE void flush_super(bool affine, const ft_super16 *super, int32_t blocks,
                           const ft_tile *tile, size_t entry, ft_sums16 *all) {
  for (int32_t row = 0; row < tile->rows; row++) {
    const __m512 product = _mm512_mul_ps(super->scale, all->sums[row]);
    all->products[row] = _mm512_add_ps(all->products[row], product);
    all->sums[row] = _mm512_setzero_ps();
  }
  if (!affine) return;
  int32_t row = 0;
  for (; row + ROWS_IN_STEP <= tile->rows; row += ROWS_IN_STEP) {
    flush_offsets(ROWS_IN_STEP, super, blocks, tile, entry + (size_t)row, all->offsets + row);
  }
  for (; row < tile->rows; row++) {
    flush_offsets(1, super, blocks, tile, entry + (size_t)row, all->offsets + row);
  }
}

FT_INLINE void multiply_pair(ft_layout layout, bool affine, int zero_shift,
                             const ft_format *format, const ft_group_target *targets,
                             const ft_tile *given, size_t out_stride) {
  // A copy that no store to the sums can change, so that its pointers stay in registers.
  const ft_tile copy = *given, *tile = &copy;
  const uint8_t *next[2] = {targets[0].weights, targets[1].weights};
  const int32_t block_bytes = format->block_bytes;
  // With fewer rows memory is all that counts, and the hardware follows two streams better alone.
  const bool prefetch = tile->rows >= PREFETCH_ROWS;
  size_t entry = 0;
  ft_sums16 all;
  for (int32_t row = 0; row < tile->rows; row++) {
    all.sums[row] = all.products[row] = all.offsets[row] = _mm512_setzero_ps();
  }
  // INT8 has no sums of super-blocks.
  __m512 *sums = layout == FT_LAYOUT_INT8 ? all.products : all.sums;
  const int32_t supers = format->full_supers + (format->tail_blocks > 0);
  for (int32_t index = 0; index < supers; index++) {
    const int32_t blocks = index < format->full_supers ? FT_SUPER_BLOCKS : format->tail_blocks;
    const int32_t header_bytes = (int32_t)ft_header_bytes(format->header, blocks);
    const uint8_t *const header[2] = {next[0], next[1]};
    const size_t first = entry;
    ft_super16 super;
    for (int i = 0; i < 2; i++) {
      if (prefetch) prefetch_far(next[i], header_bytes);
      next[i] += header_bytes;
    }
    if (layout == FT_LAYOUT_INT6) {
      super.scale = both_ps(_mm256_loadu_ps((const float *)header[0]),
                            _mm256_loadu_ps((const float *)header[1]));
    } else if (layout != FT_LAYOUT_INT8) {
      load_super16(format, header, blocks, &super);
    }
    for (int32_t block = 0; block < blocks; block++, entry += (size_t)tile->stride) {
      ft_block16 q;
      if (prefetch) {
        prefetch_far(next[0], block_bytes);
        prefetch_far(next[1], block_bytes);
      }
      unpack(layout, next, q);
      const ft_block_scales16 scales = block_scales(layout, &super, header, block);
      add_block(layout, zero_shift, q, &scales, tile, entry, sums);
      next[0] += block_bytes;
      next[1] += block_bytes;
    }
    if (layout != FT_LAYOUT_INT8) flush_super(affine, &super, blocks, tile, first, &all);
  }
  for (int32_t row = 0; row < tile->rows; row++) {
    const __m512 sum = _mm512_add_ps(all.products[row], all.offsets[row]);
    const size_t place = (size_t)row * out_stride;
    store_rows(targets[0].out + place, _mm512_castps512_ps256(sum), targets[0].valid);
    if (targets[1].valid == 0) continue;
    store_rows(targets[1].out + place, _mm512_extractf32x8_ps(sum, 1), targets[1].valid);
  }
}

// The zeros are -8 times the sums, shifted: 8 in Q4_0, 16 in Q5_0, 128 in bytes.

void ft_matmul_pair_vnni_int4(const ft_matrix *matrix, const ft_format *format,
                              const ft_group_target *targets, const ft_tile *tile,
                              size_t out_stride) {
  (void)matrix;
  if (format->header == FT_HEADER_SCALED) {
    multiply_pair(FT_LAYOUT_INT4, false, 0, format, targets, tile, out_stride);
  } else {
    multiply_pair(FT_LAYOUT_INT4, true, -1, format, targets, tile, out_stride);
  }
}

void ft_matmul_pair_vnni_int5(const ft_matrix *matrix, const ft_format *format,
                              const ft_group_target *targets, const ft_tile *tile,
                              size_t out_stride) {
  (void)matrix;
  if (format->header == FT_HEADER_SCALED) {
    multiply_pair(FT_LAYOUT_INT5, false, 1, format, targets, tile, out_stride);
  } else {
    multiply_pair(FT_LAYOUT_INT5, true, -1, format, targets, tile, out_stride);
  }
}

void ft_matmul_pair_vnni_int6(const ft_matrix *matrix, const ft_format *format,
                              const ft_group_target *targets, const ft_tile *tile,
                              size_t out_stride) {
  (void)matrix;
  multiply_pair(FT_LAYOUT_INT6, false, -1, format, targets, tile, out_stride);
}

void ft_matmul_pair_vnni_int8(const ft_matrix *matrix, const ft_format *format,
                              const ft_group_target *targets, const ft_tile *tile,
                              size_t out_stride) {
  (void)matrix;
  multiply_pair(FT_LAYOUT_INT8, false, 4, format, targets, tile, out_stride);
}

#pragma clang attribute pop
#endif
