#ifndef FT_VECTOR_H
#define FT_VECTOR_H

// Eight-lane vectors in the compiler's own vector types: one source for every instruction set.
// Files that include this are compiled once per instruction set (see ft_ops_avx2.c), and every
// function keeps one order of operations, so a result never depends on how much is computed with it.
// FT_TARGET_AVX2 says that the functions may use AVX2, FMA and F16C.

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
typedef int8_t v8b __attribute__((vector_size(8)));

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

FT_INLINE v8f load_byte8(const int8_t *p) {
  v8b b;
  memcpy(&b, p, sizeof b);
  return __builtin_convertvector(b, v8f);
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

#endif
