#ifndef FT_VECTOR_H
#define FT_VECTOR_H

// Eight-lane vectors in the compiler's own vector types: one source for every instruction set.
// Files that include this are compiled once per instruction set (see ft_ops_avx2.c), and every
// function keeps one order of operations, so a result never depends on how much is computed with it.
// FT_TARGET_AVX2 says that the functions may use AVX2, FMA and F16C; FT_TARGET_AVX512 that they may
// use AVX-512 (F, BW, DQ, VL, VNNI) as well. Sixteen lanes are one register there and two elsewhere:
// the lanes, and so the bits, are the same.

#include <stdint.h>
#include <string.h>

#if defined(__aarch64__)
#include <arm_neon.h>
#endif

#pragma STDC FP_CONTRACT OFF
#pragma clang diagnostic ignored "-Wpsabi"

typedef float v8f __attribute__((vector_size(32)));
typedef int32_t v8i __attribute__((vector_size(32)));
typedef uint32_t v8u __attribute__((vector_size(32)));
typedef uint16_t v8s __attribute__((vector_size(16)));

typedef float v16f __attribute__((vector_size(64)));
typedef int32_t v16i __attribute__((vector_size(64)));
typedef int16_t v32s __attribute__((vector_size(64)));
typedef int16_t v16s __attribute__((vector_size(32)));
typedef int8_t v32b __attribute__((vector_size(32)));

#define FT_INLINE static inline __attribute__((always_inline))

FT_INLINE v8f splat(float x) { return (v8f){x, x, x, x, x, x, x, x}; }

FT_INLINE v8f load8(const float *p) {
  v8f v;
  memcpy(&v, p, sizeof v);
  return v;
}

FT_INLINE void store8(float *p, v8f v) { memcpy(p, &v, sizeof v); }

/// a * b + c, rounded once where the machine can, twice on the portable path.
FT_INLINE v8f fused(v8f a, v8f b, v8f c) {
#if defined(FT_TARGET_AVX2) || defined(__aarch64__)
  return __builtin_elementwise_fma(a, b, c);
#else
  return a * b + c;
#endif
}

/// a where the mask's lanes are set, b elsewhere.
FT_INLINE v8f select8(v8i mask, v8f a, v8f b) {
  return (v8f)((mask & (v8i)a) | (~mask & (v8i)b));
}

FT_INLINE v8f max8(v8f a, v8f b) { return select8(a > b, a, b); }
FT_INLINE v8f min8(v8f a, v8f b) { return select8(a < b, a, b); }

/// Sum of the lanes in one fixed order.
FT_INLINE float sum_lanes(v8f v) {
  return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}

FT_INLINE float max_lanes(v8f v) {
  float m = v[0];
  for (int i = 1; i < 8; ++i) m = v[i] > m ? v[i] : m;
  return m;
}

/// e^x, error below 2 units in the last place; 0 below -87.3, so e^-inf is exactly 0.
FT_INLINE v8f exp8(v8f x) {
  const v8f lowest = splat(-87.33654f), highest = splat(88.37626f);
  const v8f rounder = splat(12582912.0f);  // 1.5 * 2^23: adding it leaves the nearest integer
  v8f clamped = min8(max8(x, lowest), highest);
  v8f shifted = fused(clamped, splat(1.44269504f), rounder);
  v8i exponent = (v8i)shifted - (v8i)rounder;
  v8f n = shifted - rounder;
  v8f r = fused(n, splat(-0.693359375f), clamped);
  r = fused(n, splat(2.12194440e-4f), r);
  v8f p = splat(1.9875691500e-4f);
  p = fused(p, r, splat(1.3981999507e-3f));
  p = fused(p, r, splat(8.3334519073e-3f));
  p = fused(p, r, splat(4.1665795894e-2f));
  p = fused(p, r, splat(1.6666665459e-1f));
  p = fused(p, r, splat(5.0000001201e-1f));
  v8f y = fused(p, r * r, r) + splat(1.0f);
  v8f power = (v8f)((exponent + 127) << 23);
  v8f result = y * power;
  return select8(x < lowest, splat(0), result);
}

/// IEEE half to float, exact.
FT_INLINE v8f load_half8(const uint16_t *p) {
#if defined(FT_TARGET_AVX2)
  return (v8f)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
#elif defined(__aarch64__)
  const float32x4_t halves[2] = {vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))),
                                 vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4)))};
  return load8((const float *)halves);
#else
  v8s h;
  memcpy(&h, p, sizeof h);
  v8u wide = __builtin_convertvector(h, v8u);
  v8u magnitude = wide & 0x7fff;
  v8f scaled = (v8f)(magnitude << 13) * splat(0x1p112f);
  v8u infinite = (v8u)(magnitude >= 0x7c00) & 0x7f800000u;
  return (v8f)((v8u)scaled | infinite | ((wide & 0x8000) << 16));
#endif
}

/// The lowest eight lanes, and the highest.
FT_INLINE v8f low8(v16f v) { return __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7); }
FT_INLINE v8f high8(v16f v) { return __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15); }

FT_INLINE v16f join8(v8f low, v8f high) {
  return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

FT_INLINE v16f splat16(float x) {
  return (v16f){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
}

FT_INLINE v16i splat16i(int32_t x) {
  return (v16i){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
}

FT_INLINE v16f load16(const float *p) {
  v16f v;
  memcpy(&v, p, sizeof v);
  return v;
}

FT_INLINE void store16(float *p, v16f v) { memcpy(p, &v, sizeof v); }

FT_INLINE v16i load16i(const int32_t *p) {
  v16i v;
  memcpy(&v, p, sizeof v);
  return v;
}

FT_INLINE void store16i(int32_t *p, v16i v) { memcpy(p, &v, sizeof v); }

FT_INLINE v16f fused16(v16f a, v16f b, v16f c) {
#if defined(FT_TARGET_AVX2) || defined(__aarch64__)
  return __builtin_elementwise_fma(a, b, c);
#else
  return a * b + c;
#endif
}

/// a > b ? a : b, so b where a is NaN.
FT_INLINE v16f max16(v16f a, v16f b) {
#if defined(FT_TARGET_AVX512)
  return (v16f)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(FT_TARGET_AVX2)
  return join8((v8f)_mm256_max_ps((__m256)low8(a), (__m256)low8(b)),
               (v8f)_mm256_max_ps((__m256)high8(a), (__m256)high8(b)));
#else
  v16i mask = a > b;
  return (v16f)((mask & (v16i)a) | (~mask & (v16i)b));
#endif
}

FT_INLINE float sum_lanes16(v16f v) { return sum_lanes(low8(v) + high8(v)); }

FT_INLINE float max_lanes16(v16f v) {
  return max_lanes(max8(low8(v), high8(v)));
}

/// e^x for x <= 0, relative error below 3e-7 and e^0 exactly 1; at least 1e-38, for minus infinity too.
FT_INLINE v16f exp_not_positive16(v16f x) {
  const v16f rounder = splat16(12582912.0f), turns = splat16(1.44269504f);
  v16f clamped = max16(x, splat16(-87.0f));
  v16f shifted = fused16(clamped, turns, rounder);
  v16f f = fused16(clamped, turns, -(shifted - rounder));
  v16f p = splat16(1.3276472e-3f);
  p = fused16(p, f, splat16(9.6755415e-3f));
  p = fused16(p, f, splat16(5.5507133e-2f));
  p = fused16(p, f, splat16(2.4022120e-1f));
  p = fused16(p, f, splat16(6.9314697e-1f));
  p = fused16(p, f, splat16(1.0f));
  return (v16f)((v16i)p + ((v16i)shifted << 23));
}

/// Nearest integers, ties to even, of magnitudes below 2^22.
FT_INLINE v16i round16(v16f x) {
  const v16f rounder = splat16(12582912.0f);
  return (v16i)(x + rounder) - (v16i)rounder;
}

/// 32 bytes, sign-extended.
FT_INLINE v32s load_bytes32(const int8_t *p) {
  v32b b;
  memcpy(&b, p, sizeof b);
  return __builtin_convertvector(b, v32s);
}

/// sum + a0 b0 + a1 b1 of the pairs of 16-bit numbers in each lane.
FT_INLINE v16i dot_pairs(v16i sum, v32s a, v32s b) {
#if defined(FT_TARGET_AVX512)
  return (v16i)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
#elif defined(FT_TARGET_AVX2)
  typedef int16_t half __attribute__((vector_size(32)));
  typedef int32_t lanes __attribute__((vector_size(32)));
#define FT_HALF(v, at)                                                                       \
  __builtin_shufflevector(v, v, at, at + 1, at + 2, at + 3, at + 4, at + 5, at + 6, at + 7, \
                          at + 8, at + 9, at + 10, at + 11, at + 12, at + 13, at + 14, at + 15)
  half a0 = FT_HALF(a, 0), a1 = FT_HALF(a, 16), b0 = FT_HALF(b, 0), b1 = FT_HALF(b, 16);
#undef FT_HALF
  lanes low = (lanes)_mm256_madd_epi16((__m256i)a0, (__m256i)b0);
  lanes high = (lanes)_mm256_madd_epi16((__m256i)a1, (__m256i)b1);
  return sum + __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
                                       15);
#else
  v16i x = (v16i)a, y = (v16i)b;
  return sum + ((x << 16) >> 16) * ((y << 16) >> 16) + (x >> 16) * (y >> 16);
#endif
}

FT_INLINE v16f load_half16(const uint16_t *p) {
#if defined(FT_TARGET_AVX512)
  return (v16f)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
#else
  return join8(load_half8(p), load_half8(p + 8));
#endif
}

/// Float to IEEE half, to nearest even; too large becomes infinite.
FT_INLINE uint16_t half_from_float(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  uint32_t sign = (bits >> 16) & 0x8000, magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00);
  if (magnitude >= 0x477ff000) return (uint16_t)(sign | 0x7c00);
  if (magnitude < 0x38800000) {  // subnormal half: let the float adder round
    float shifted;
    memcpy(&shifted, &magnitude, sizeof shifted);
    shifted += 0.5f;
    memcpy(&magnitude, &shifted, sizeof magnitude);
    return (uint16_t)(sign | (magnitude - 0x3f000000));
  }
  uint32_t odd = (magnitude >> 13) & 1;
  return (uint16_t)(sign | ((magnitude - 0x38000000 + 0xfff + odd) >> 13));
}

FT_INLINE void store_halves8(uint16_t *out, v8f x) {
#if defined(FT_TARGET_AVX2)
  _mm_storeu_si128((__m128i *)out, _mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT));
#else
  for (int i = 0; i < 8; ++i) out[i] = half_from_float(x[i]);
#endif
}

#endif
