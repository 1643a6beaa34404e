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

#define READ_STEP 256
#define READ_STREAMS 4
#define VECTORS_PER_STEP (READ_STEP / 32)

/// Four streams of quarters in turn, left to the hardware's own prefetching: 40 GB/s of a core that
/// reads one stream at 35, with prefetches or without.
static uint64_t read_avx2(const uint8_t *source, size_t bytes) {
  const size_t quarter = bytes / READ_STREAMS / READ_STEP * READ_STEP;
  __m256i sums[VECTORS_PER_STEP];
  for (int i = 0; i < VECTORS_PER_STEP; i++) sums[i] = _mm256_setzero_si256();
  for (size_t offset = 0; offset < quarter; offset += READ_STEP) {
    for (int stream = 0; stream < READ_STREAMS; stream++) {
      const __m256i *next = (const __m256i *)(source + stream * quarter + offset);
      for (int i = 0; i < VECTORS_PER_STEP; i++) {
        sums[i] = _mm256_xor_si256(sums[i], _mm256_loadu_si256(next + i));
      }
    }
  }
  for (int i = 1; i < VECTORS_PER_STEP; i++) sums[0] = _mm256_xor_si256(sums[0], sums[i]);
  uint64_t words[4];
  _mm256_storeu_si256((__m256i *)words, sums[0]);
  return words[0] ^ words[1] ^ words[2] ^ words[3] ^
         read_portable(source + READ_STREAMS * quarter, bytes - READ_STREAMS * quarter);
}

#define BYTES_PER_PAIR 32

// Assembly, because compilers hoist products of constants out of the loop.

#define MULTIPLY_AVX2(n) "vpmaddubsw %%ymm15, %%ymm14, %%ymm" #n "\n\t"
#define ADD_AVX2(n, sum) "vpaddw %%ymm" #n ", %%ymm" #sum ", %%ymm" #sum "\n\t"

/// Six independent chains of vpmaddubsw and vpaddw: the ratio of INT4's inner loop.
static uint64_t int8_avx2(uint64_t iterations) {
  for (uint64_t round = 0; round < iterations; round++) {
    __asm__ volatile(MULTIPLY_AVX2(0) MULTIPLY_AVX2(1) MULTIPLY_AVX2(2) MULTIPLY_AVX2(3)
                         MULTIPLY_AVX2(4) MULTIPLY_AVX2(5) ADD_AVX2(0, 6) ADD_AVX2(1, 7)
                             ADD_AVX2(2, 8) ADD_AVX2(3, 9) ADD_AVX2(4, 10) ADD_AVX2(5, 11)
                     :
                     :
                     : "ymm0", "ymm1", "ymm2", "ymm3", "ymm4", "ymm5", "ymm6", "ymm7", "ymm8",
                       "ymm9", "ymm10", "ymm11", "ymm14", "ymm15");
  }
  return iterations * 6 * BYTES_PER_PAIR;
}
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx512f,avx512vnni"))), apply_to = function)

#define DOT_VNNI(n) "vpdpbusd %%zmm15, %%zmm14, %%zmm" #n "\n\t"
#define BYTES_PER_DOT 64

/// Eight independent chains of vpdpbusd, which adds what it multiplies.
static uint64_t int8_vnni(uint64_t iterations) {
  for (uint64_t round = 0; round < iterations; round++) {
    __asm__ volatile(DOT_VNNI(0) DOT_VNNI(1) DOT_VNNI(2) DOT_VNNI(3) DOT_VNNI(4) DOT_VNNI(5)
                         DOT_VNNI(6) DOT_VNNI(7)
                     :
                     :
                     : "zmm0", "zmm1", "zmm2", "zmm3", "zmm4", "zmm5", "zmm6", "zmm7", "zmm14",
                       "zmm15");
  }
  return iterations * 8 * BYTES_PER_DOT;
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
  const ft_isa isa = ft_isa_current();
  if (isa == FT_ISA_AVX512VNNI) return int8_vnni(iterations);
  if (isa != FT_ISA_PORTABLE) return int8_avx2(iterations);
#endif
  return int8_portable(iterations);
}
