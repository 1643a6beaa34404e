#ifndef FT_MATMUL_AVX2_H
#define FT_MATMUL_AVX2_H

// What the AVX2 kernels share. Include between the target attribute's push and pop.

#include <immintrin.h>
#include <string.h>

#include "ft_matmul.h"

#define FT_INLINE static inline __attribute__((always_inline))

#define FT_CACHE_LINE 64

/// Keeps the compiler from moving or re-associating what makes `value`: it would turn pairs of
/// independent sums into chains, which costs 5 to 25 %.
#define FT_PIN(value) __asm__ volatile("" : "+x"(value))

FT_INLINE __m256i broadcast4(const void *source) {
  int32_t word;
  memcpy(&word, source, sizeof word);
  return _mm256_set1_epi32(word);
}

FT_INLINE __m256i load256(const void *source) {
  return _mm256_loadu_si256((const __m256i *)source);
}

FT_INLINE __m256i high_nibbles(__m256i bytes) {
  return _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(15));
}

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

FT_INLINE void unpack6(const uint8_t *block, __m256i q[FT_BLOCK_VECTORS]) {
  unpack4(block, q);
  const __m256i pair = _mm256_set1_epi8(0x30);
  for (int half = 0; half < 2; half++) {
    const __m256i top = load256(block + (4 + half) * FT_VECTOR_BYTES);
    __m256i *own = q + 4 * half;
    own[0] = _mm256_or_si256(own[0], _mm256_and_si256(_mm256_slli_epi16(top, 4), pair));
    own[1] = _mm256_or_si256(own[1], _mm256_and_si256(_mm256_slli_epi16(top, 2), pair));
    own[2] = _mm256_or_si256(own[2], _mm256_and_si256(top, pair));
    own[3] = _mm256_or_si256(own[3], _mm256_and_si256(_mm256_srli_epi16(top, 2), pair));
  }
}

/// Prefetches what follows the `bytes` in use by 2 KB, to the first-level cache: for one stream of
/// weights and few activation rows. 1 KB is too short to hide DRAM (Zen 3).
FT_INLINE void prefetch_near(const uint8_t *source, int32_t bytes) {
  for (int32_t i = 0; i < bytes; i += FT_CACHE_LINE) {
    _mm_prefetch((const char *)source + 2048 + i, _MM_HINT_T0);
  }
}

/// Prefetches what follows by 4 KB, to the second-level cache: for two streams and many rows, whose
/// activations need the first. Q8_0 at 4 to 8 rows takes a third longer with `prefetch_near`, which
/// does not let memory and arithmetic overlap.
FT_INLINE void prefetch_far(const uint8_t *source, int32_t bytes) {
  for (int32_t i = 0; i < bytes; i += FT_CACHE_LINE) {
    _mm_prefetch((const char *)source + 4096 + i, _MM_HINT_T1);
  }
}

/// The scales of a super-block of INT4 or INT5.
typedef struct ft_super_avx2 {
  __m256 scale;
  __m256 offset_scale;                // K and AFFINE only
  __m128i scales[FT_SUPER_BLOCKS];    // s, 16 bits
  __m256 offsets[FT_SUPER_BLOCKS];    // m as floats, K and AFFINE only
} ft_super_avx2;

/// One 16-bit number per row, twice in each row's 32-bit lane.
FT_INLINE __m256i duplicate_rows(__m128i rows) {
  const __m256i twice = _mm256_setr_epi8(0, 1, 0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7, 6, 7,  //
                                         8, 9, 8, 9, 10, 11, 10, 11, 12, 13, 12, 13, 14, 15, 14,
                                         15);
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(rows), twice);
}

/// A plane of 12-bit numbers of a whole super-block. A top byte over a low nibble in the upper half
/// of a byte is 16 times the number.
FT_INLINE void load_full_plane12(const uint8_t *plane, __m128i *out) {
  const __m256i mask = _mm256_set1_epi8((char)0xF0);
  const __m256i tops0 = load256(plane), tops1 = load256(plane + 32);
  const __m256i pairs = load256(plane + 64);
  const __m256i upper = _mm256_and_si256(pairs, mask);
  const __m256i lower = _mm256_and_si256(_mm256_slli_epi16(pairs, 4), mask);
  // Blocks 0, 1 | 4, 5 and 2, 3 | 6, 7.
  const __m256i nibbles[2] = {_mm256_unpacklo_epi32(lower, upper),
                              _mm256_unpackhi_epi32(lower, upper)};
  const __m256i tops[2] = {_mm256_permute2x128_si256(tops0, tops1, 0x20),
                           _mm256_permute2x128_si256(tops0, tops1, 0x31)};
  for (int i = 0; i < 2; i++) {
    const __m256i first = _mm256_srai_epi16(_mm256_unpacklo_epi8(nibbles[i], tops[i]), 4);
    const __m256i second = _mm256_srai_epi16(_mm256_unpackhi_epi8(nibbles[i], tops[i]), 4);
    out[2 * i] = _mm256_castsi256_si128(first);
    out[2 * i + 1] = _mm256_castsi256_si128(second);
    out[2 * i + 4] = _mm256_extracti128_si256(first, 1);
    out[2 * i + 5] = _mm256_extracti128_si256(second, 1);
  }
}

/// The same for a shorter super-block; blocks that do not exist get zeros.
FT_INLINE void load_plane12(const uint8_t *plane, int32_t blocks, __m128i *out) {
  if (blocks == FT_SUPER_BLOCKS) {
    load_full_plane12(plane, out);
    return;
  }
  uint8_t full[FT_SUPER_BLOCKS * FT_SCALE12_BYTES] = {0};
  const size_t tops = (size_t)blocks * FT_GROUP_ROWS;
  memcpy(full, plane, tops);
  memcpy(full + FT_SUPER_BLOCKS * FT_GROUP_ROWS, plane + tops, tops / 2);
  load_full_plane12(full, out);
}

/// 6-bit scales and offsets of two runs of four blocks, as bytes.
typedef struct ft_k_bytes {
  __m256i scales[2], offsets[2];
} ft_k_bytes;

FT_INLINE ft_k_bytes load_k_bytes(const uint8_t *header) {
  const __m256i mask = _mm256_set1_epi8(15), pair = _mm256_set1_epi8(0x30);
  const __m256i low0 = load256(header + 32), low1 = load256(header + 64);
  const __m256i top = load256(header + 96);
  ft_k_bytes bytes;
  bytes.scales[0] = _mm256_or_si256(_mm256_and_si256(low0, mask),
                                    _mm256_and_si256(_mm256_slli_epi16(top, 4), pair));
  bytes.scales[1] = _mm256_or_si256(_mm256_and_si256(low1, mask), _mm256_and_si256(top, pair));
  bytes.offsets[0] = _mm256_or_si256(high_nibbles(low0),
                                     _mm256_and_si256(_mm256_slli_epi16(top, 2), pair));
  bytes.offsets[1] = _mm256_or_si256(high_nibbles(low1),
                                     _mm256_and_si256(_mm256_srli_epi16(top, 2), pair));
  return bytes;
}

FT_INLINE __m256 load_halves8(const uint8_t *source) {
  return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)source));
}

/// 16-bit integers of one run of four blocks of bytes.
FT_INLINE void widen_bytes(__m256i bytes, __m128i out[4]) {
  _mm256_storeu_si256((__m256i *)out, _mm256_cvtepu8_epi16(_mm256_castsi256_si128(bytes)));
  _mm256_storeu_si256((__m256i *)(out + 2),
                      _mm256_cvtepu8_epi16(_mm256_extracti128_si256(bytes, 1)));
}

FT_INLINE void floats_of_rows(const __m128i integers[FT_SUPER_BLOCKS],
                              __m256 out[FT_SUPER_BLOCKS]) {
  for (int block = 0; block < FT_SUPER_BLOCKS; block++) {
    out[block] = _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(integers[block]));
  }
}

/// Reads the header of a super-block of INT4 or INT5. Not inlined: once per 256 columns a call costs
/// nothing.
static __attribute__((noinline, unused)) void load_super(const ft_format *format,
                                                         const uint8_t *header, int32_t blocks,
                                                         ft_super_avx2 *super) {
  __m128i offsets[FT_SUPER_BLOCKS];
  if (format->header == FT_HEADER_K) {
    const ft_k_bytes bytes = load_k_bytes(header);
    super->scale = load_halves8(header);
    super->offset_scale = _mm256_xor_ps(load_halves8(header + 16), _mm256_set1_ps(-0.0f));
    widen_bytes(bytes.scales[0], super->scales);
    widen_bytes(bytes.scales[1], super->scales + 4);
    widen_bytes(bytes.offsets[0], offsets);
    widen_bytes(bytes.offsets[1], offsets + 4);
    floats_of_rows(offsets, super->offsets);
    return;
  }
  super->scale = _mm256_loadu_ps((const float *)header);
  if (format->header == FT_HEADER_SCALED) {
    load_plane12(header + 32, blocks, super->scales);
    return;
  }
  super->offset_scale = _mm256_loadu_ps((const float *)(header + 32));
  load_plane12(header + 64, blocks, super->scales);
  load_plane12(header + 64 + blocks * FT_SCALE12_BYTES, blocks, offsets);
  floats_of_rows(offsets, super->offsets);
}

/// Stores the first `valid` of 8 outputs.
FT_INLINE void store_rows(float *out, __m256 values, int32_t valid) {
  if (valid == FT_GROUP_ROWS) {
    _mm256_storeu_ps(out, values);
    return;
  }
  float rows[FT_GROUP_ROWS];
  _mm256_storeu_ps(rows, values);
  memcpy(out, rows, (size_t)valid * sizeof(float));
}

/// total + factor * integers.
FT_INLINE __m256 add_scaled(__m256 total, __m256 factor, __m256i integers) {
  return _mm256_add_ps(total, _mm256_mul_ps(factor, _mm256_cvtepi32_ps(integers)));
}

#endif
