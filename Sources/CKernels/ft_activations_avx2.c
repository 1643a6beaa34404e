#include "ft_activations.h"

#if FT_HAS_X86
#include <immintrin.h>

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

static uint32_t largest_magnitude(const float *source) {
  const __m256i magnitude = _mm256_set1_epi32(0x7FFFFFFF);
  __m256i largest = _mm256_setzero_si256();
  for (int i = 0; i < FT_BLOCK_COLUMNS; i += 8) {
    const __m256i bits = _mm256_loadu_si256((const __m256i *)(source + i));
    largest = _mm256_max_epu32(largest, _mm256_and_si256(bits, magnitude));
  }
  __m128i half =
      _mm_max_epu32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
  half = _mm_max_epu32(half, _mm_shuffle_epi32(half, 0x4E));
  half = _mm_max_epu32(half, _mm_shuffle_epi32(half, 0xB1));
  return (uint32_t)_mm_cvtsi128_si32(half);
}

/// 32 floats times `inverse`, rounded to nearest even, as bytes in order.
static __m256i quantize_block(const float *source, __m256 inverse) {
  __m256i part[4];
  for (int i = 0; i < 4; i++) {
    part[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(source + 8 * i), inverse));
  }
  const __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(part[0], part[1]),
                                            _mm256_packs_epi32(part[2], part[3]));
  return _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

/// Writes the sums of 32 bytes.
static void write_sums(__m256i bytes, float scale, ft_block_slot slot) {
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);
  __m256i quarters = _mm256_add_epi16(pairs, _mm256_shuffle_epi32(pairs, 0x4E));
  quarters = _mm256_add_epi16(quarters, _mm256_shuffle_epi32(quarters, 0xB1));
  // Four 16-bit sums: the pairs of the first half, then those of the second.
  const __m128i both = _mm_unpacklo_epi32(_mm256_castsi256_si128(quarters),
                                          _mm256_extracti128_si256(quarters, 1));
  const __m128i halves = _mm_madd_epi16(both, _mm_set1_epi16(1));
  const int32_t sum = _mm_cvtsi128_si32(halves) + _mm_extract_epi32(halves, 1);
  *slot.offset = scale * (float)sum;
  *slot.zero = -FT_ZERO_STEP * sum;
  _mm_storel_epi64((__m128i *)slot.half_zeros,
                   _mm_mullo_epi32(halves, _mm_set1_epi32(-FT_INT6_ZERO)));
  _mm_storel_epi64((__m128i *)slot.half_pairs,
                   _mm_mullo_epi16(both, _mm_set1_epi16(-FT_INT6_ZERO)));
  const __m128i whole = _mm_add_epi16(both, _mm_srli_epi64(both, 32));
  const int32_t word =
      _mm_cvtsi128_si32(_mm_mullo_epi16(whole, _mm_set1_epi16(-FT_ZERO_STEP)));
  memcpy(slot.pair_zeros, &word, sizeof word);
}

void ft_quantize_block_avx2(const float *source, int32_t count, ft_block_slot slot) {
  float padded[FT_BLOCK_COLUMNS];
  if (count < FT_BLOCK_COLUMNS) {
    memset(padded, 0, sizeof padded);
    memcpy(padded, source, (size_t)count * sizeof(float));
    source = padded;
  }
  const ft_step step = ft_activation_step(largest_magnitude(source));
  __m256i bytes = _mm256_setzero_si256();
  if (step.inverse > 0) bytes = quantize_block(source, _mm256_set1_ps(step.inverse));
  _mm256_storeu_si256((__m256i *)slot.values, bytes);
  *slot.scale = step.scale;
  write_sums(bytes, step.scale, slot);
}

#pragma clang attribute pop
#endif
