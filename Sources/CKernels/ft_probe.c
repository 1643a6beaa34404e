#include "ft_probe.h"

#include <string.h>

#include "ft_isa.h"

static uint64_t read_portable(const uint8_t *source, size_t bytes) {
  uint64_t sums[8] = {0};
  size_t offset = 0;
  for (; offset + sizeof sums <= bytes; offset += sizeof sums) {
    uint64_t words[8];
    memcpy(words, source + offset, sizeof words);
    for (int i = 0; i < 8; i++) sums[i] ^= words[i];
  }
  uint64_t checksum = 0;
  for (int i = 0; i < 8; i++) checksum ^= sums[i];
  for (; offset < bytes; offset++) checksum ^= (uint64_t)source[offset] << 8 * (offset % 8);
  return checksum;
}

#define PORTABLE_LANES 32

/// 16-bit multiply-adds of 32 pairs per round, what the portable kernels consist of.
static uint64_t int8_portable(uint64_t iterations) {
  int16_t weights[PORTABLE_LANES], values[PORTABLE_LANES];
  int32_t sums[PORTABLE_LANES / 2] = {0};
  for (int i = 0; i < PORTABLE_LANES; i++) {
    weights[i] = (int16_t)(i % 15);
    values[i] = (int16_t)(i - 16);
  }
  for (uint64_t round = 0; round < iterations; round++) {
    for (int i = 0; i < PORTABLE_LANES / 2; i++) {
      sums[i] = (int32_t)((uint32_t)sums[i] + (uint32_t)(weights[2 * i] * values[2 * i] +
                                                         weights[2 * i + 1] * values[2 * i + 1]));
    }
    // The loop must not be folded into one multiplication by `iterations`.
    __asm__ volatile("" : : "r"(sums), "r"(weights), "r"(values) : "memory");
  }
  return iterations * PORTABLE_LANES;
}

#if FT_HAS_X86
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#include <immintrin.h>

#define READ_AHEAD 2048
#define READ_STEP 256
#define VECTORS_PER_STEP (READ_STEP / 32)

static uint64_t read_avx2(const uint8_t *source, size_t bytes) {
  __m256i sums[VECTORS_PER_STEP];
  for (int i = 0; i < VECTORS_PER_STEP; i++) sums[i] = _mm256_setzero_si256();
  size_t offset = 0;
  for (; offset + READ_STEP <= bytes; offset += READ_STEP) {
    for (int line = 0; line < READ_STEP; line += 64) {
      _mm_prefetch((const char *)source + offset + READ_AHEAD + line, _MM_HINT_T0);
    }
    for (int i = 0; i < VECTORS_PER_STEP; i++) {
      const __m256i *next = (const __m256i *)(source + offset) + i;
      sums[i] = _mm256_xor_si256(sums[i], _mm256_loadu_si256(next));
    }
  }
  for (int i = 1; i < VECTORS_PER_STEP; i++) sums[0] = _mm256_xor_si256(sums[0], sums[i]);
  uint64_t words[4];
  _mm256_storeu_si256((__m256i *)words, sums[0]);
  return words[0] ^ words[1] ^ words[2] ^ words[3] ^
         read_portable(source + offset, bytes - offset);
}

#define PROBE_CHAINS 6
#define PRODUCTS_PER_VECTOR 32

/// Six independent chains of vpmaddubsw and vpaddw: the ratio of INT4's inner loop.
static uint64_t int8_avx2(uint64_t iterations) {
  __m256i sums[PROBE_CHAINS], weights = _mm256_set1_epi8(3), values = _mm256_set1_epi8(5);
  for (int i = 0; i < PROBE_CHAINS; i++) sums[i] = _mm256_setzero_si256();
  for (uint64_t round = 0; round < iterations; round++) {
    __m256i products[PROBE_CHAINS];
    for (int i = 0; i < PROBE_CHAINS; i++) {
      products[i] = _mm256_maddubs_epi16(weights, values);
      __asm__ volatile("" : "+x"(products[i]));
    }
    for (int i = 0; i < PROBE_CHAINS; i++) {
      sums[i] = _mm256_add_epi16(sums[i], products[i]);
      __asm__ volatile("" : "+x"(sums[i]));
    }
  }
  return iterations * PROBE_CHAINS * PRODUCTS_PER_VECTOR;
}

#pragma clang attribute pop
#endif

uint64_t ft_probe_read(const void *source, size_t bytes) {
#if FT_HAS_X86
  if (ft_isa_current() != FT_ISA_PORTABLE) return read_avx2(source, bytes);
#endif
  return read_portable(source, bytes);
}

uint64_t ft_probe_int8(uint64_t iterations) {
#if FT_HAS_X86
  if (ft_isa_current() != FT_ISA_PORTABLE) return int8_avx2(iterations);
#endif
  return int8_portable(iterations);
}
