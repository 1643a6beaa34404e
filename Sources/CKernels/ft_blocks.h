#ifndef FT_BLOCKS_H
#define FT_BLOCKS_H

// Blocks of the GGUF quantisation formats exactly as they lie in a file (little-endian), and the
// few decoding steps that dequantisation and packing share. Private to CKernels.
//
// Files guarantee no alignment: copy a block with memcpy before reading its fields.
// `ft_half` fields are IEEE binary16 bits, to be read with `ft_half_to_float`.

#include <stdint.h>
#include <string.h>

#define FT_BLOCK_SMALL 32   // elements of a legacy block (Q4_0 ... Q8_0, IQ4_NL)
#define FT_BLOCK_SUPER 256  // elements of a K-quant super-block

typedef uint16_t ft_half;

/// 4-bit: x = scale * (q - 8). Byte i holds element i (low nibble) and i + 16 (high nibble).
typedef struct ft_block_q4_0 {
  ft_half scale;
  uint8_t quants[16];
} ft_block_q4_0;

/// 4-bit with offset: x = scale * q + minimum.
typedef struct ft_block_q4_1 {
  ft_half scale;
  ft_half minimum;
  uint8_t quants[16];
} ft_block_q4_1;

/// 5-bit: x = scale * (q - 16). Bit i of `high` is bit 4 of element i.
typedef struct ft_block_q5_0 {
  ft_half scale;
  uint8_t high[4];
  uint8_t quants[16];
} ft_block_q5_0;

/// 5-bit with offset: x = scale * q + minimum.
typedef struct ft_block_q5_1 {
  ft_half scale;
  ft_half minimum;
  uint8_t high[4];
  uint8_t quants[16];
} ft_block_q5_1;

/// 8-bit: x = scale * q.
typedef struct ft_block_q8_0 {
  ft_half scale;
  int8_t quants[32];
} ft_block_q8_0;

/// 4-bit codes into `ft_iq4_nl_values`: x = scale * value[q]. Nibbles as in Q4_0.
typedef struct ft_block_iq4_nl {
  ft_half scale;
  uint8_t quants[16];
} ft_block_iq4_nl;

/// 2-bit, 16 groups of 16: x = scale * (scales[g] & 15) * q - minimum * (scales[g] >> 4).
typedef struct ft_block_q2_k {
  uint8_t scales[16];
  uint8_t quants[64];
  ft_half scale;
  ft_half minimum;
} ft_block_q2_k;

/// 3-bit, 16 groups of 16: x = scale * s[g] * q with 6-bit s (`ft_q3_k_scales`); the inverted
/// third bit of q lies in `high`.
typedef struct ft_block_q3_k {
  uint8_t high[32];
  uint8_t quants[64];
  uint8_t scales[12];
  ft_half scale;
} ft_block_q3_k;

/// 4-bit, 8 groups of 32: x = scale * s[g] * q - minimum * m[g] (`ft_k_scale_minimum`).
typedef struct ft_block_q4_k {
  ft_half scale;
  ft_half minimum;
  uint8_t scales[12];
  uint8_t quants[128];
} ft_block_q4_k;

/// 5-bit, 8 groups of 32, as Q4_K; bit g of `high[i]` is bit 4 of element 32 g + i.
typedef struct ft_block_q5_k {
  ft_half scale;
  ft_half minimum;
  uint8_t scales[12];
  uint8_t high[32];
  uint8_t quants[128];
} ft_block_q5_k;

/// 6-bit, 16 groups of 16: x = scale * scales[g] * (q - 32).
typedef struct ft_block_q6_k {
  uint8_t low[128];
  uint8_t high[64];
  int8_t scales[16];
  ft_half scale;
} ft_block_q6_k;

_Static_assert(sizeof(ft_block_q4_0) == 18, "Q4_0 block");
_Static_assert(sizeof(ft_block_q4_1) == 20, "Q4_1 block");
_Static_assert(sizeof(ft_block_q5_0) == 22, "Q5_0 block");
_Static_assert(sizeof(ft_block_q5_1) == 24, "Q5_1 block");
_Static_assert(sizeof(ft_block_q8_0) == 34, "Q8_0 block");
_Static_assert(sizeof(ft_block_iq4_nl) == 18, "IQ4_NL block");
_Static_assert(sizeof(ft_block_q2_k) == 84, "Q2_K block");
_Static_assert(sizeof(ft_block_q3_k) == 110, "Q3_K block");
_Static_assert(sizeof(ft_block_q4_k) == 144, "Q4_K block");
_Static_assert(sizeof(ft_block_q5_k) == 176, "Q5_K block");
_Static_assert(sizeof(ft_block_q6_k) == 210, "Q6_K block");

/// The 16 values of an IQ4_NL code, ascending.
static const int8_t ft_iq4_nl_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                            1,    13,   25,  38,  53,  69,  89,  113};

static inline float ft_float_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/// Exact for every input: subnormals, infinities, and NaN with its payload.
static inline float ft_half_to_float(ft_half half) {
  const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 31u;
  const uint32_t mantissa = half & 0x3FFu;
  if (exponent == 0) {
    const float magnitude = (float)mantissa * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  const uint32_t wide_exponent = exponent == 31 ? 255u : exponent + 112u;
  return ft_float_from_bits(sign | wide_exponent << 23 | mantissa << 13);
}

/// 6-bit scale and minimum of group `group` (0...7) of a Q4_K or Q5_K block: the first four of
/// each are the low bits of bytes 0-7, the last four are split over bytes 8-11 and the top bits.
static inline void ft_k_scale_minimum(const uint8_t scales[12], int group, uint8_t *scale,
                                      uint8_t *minimum) {
  if (group < 4) {
    *scale = scales[group] & 63;
    *minimum = scales[group + 4] & 63;
  } else {
    *scale = (uint8_t)((scales[group + 4] & 15) | ((scales[group - 4] >> 6) << 4));
    *minimum = (uint8_t)((scales[group + 4] >> 4) | ((scales[group] >> 6) << 4));
  }
}

/// The 16 signed group scales (-32...31) of a Q3_K block: four low bits in the nibbles of bytes
/// 0-7, two high bits in bytes 8-11.
static inline void ft_q3_k_scales(const uint8_t packed[12], int8_t scales[16]) {
  for (int group = 0; group < 16; group++) {
    const int low = group < 8 ? packed[group] & 15 : packed[group - 8] >> 4;
    const int high = (packed[8 + group % 4] >> (2 * (group / 4))) & 3;
    scales[group] = (int8_t)((low | high << 4) - 32);
  }
}

#endif
