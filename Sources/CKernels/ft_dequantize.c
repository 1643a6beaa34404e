#include <string.h>

#include "ft_blocks.h"
#include "ft_types.h"

// A product followed by a sum must round twice, as in the reference values, on every machine.
#pragma STDC FP_CONTRACT OFF

/// Decodes one block at `bytes` (any alignment) into `out` (as many floats as the block has
/// elements).
typedef void (*block_decoder)(const uint8_t *bytes, float *out);

static void decode_f32(const uint8_t *bytes, float *out) { memcpy(out, bytes, sizeof *out); }

static void decode_f16(const uint8_t *bytes, float *out) {
  ft_half half;
  memcpy(&half, bytes, sizeof half);
  *out = ft_half_to_float(half);
}

static void decode_bf16(const uint8_t *bytes, float *out) {
  uint16_t bits;
  memcpy(&bits, bytes, sizeof bits);
  *out = ft_float_from_bits((uint32_t)bits << 16);
}

static void decode_q4_0(const uint8_t *bytes, float *out) {
  ft_block_q4_0 block;
  memcpy(&block, bytes, sizeof block);
  const float scale = ft_half_to_float(block.scale);
  for (int i = 0; i < 16; i++) {
    out[i] = scale * (float)((block.quants[i] & 15) - 8);
    out[i + 16] = scale * (float)((block.quants[i] >> 4) - 8);
  }
}

static void decode_q4_1(const uint8_t *bytes, float *out) {
  ft_block_q4_1 block;
  memcpy(&block, bytes, sizeof block);
  const float scale = ft_half_to_float(block.scale);
  const float minimum = ft_half_to_float(block.minimum);
  for (int i = 0; i < 16; i++) {
    out[i] = scale * (float)(block.quants[i] & 15) + minimum;
    out[i + 16] = scale * (float)(block.quants[i] >> 4) + minimum;
  }
}

/// Elements 0...31 (unsigned, 0...31) of a 5-bit legacy block.
static void unpack_5bit(const uint8_t high[4], const uint8_t quants[16], int values[32]) {
  for (int i = 0; i < 16; i++) {
    const int high_of_first = high[i / 8] >> (i % 8) & 1;
    const int high_of_second = high[2 + i / 8] >> (i % 8) & 1;
    values[i] = (quants[i] & 15) | high_of_first << 4;
    values[i + 16] = (quants[i] >> 4) | high_of_second << 4;
  }
}

static void decode_q5_0(const uint8_t *bytes, float *out) {
  ft_block_q5_0 block;
  memcpy(&block, bytes, sizeof block);
  const float scale = ft_half_to_float(block.scale);
  int values[32];
  unpack_5bit(block.high, block.quants, values);
  for (int i = 0; i < 32; i++) out[i] = scale * (float)(values[i] - 16);
}

static void decode_q5_1(const uint8_t *bytes, float *out) {
  ft_block_q5_1 block;
  memcpy(&block, bytes, sizeof block);
  const float scale = ft_half_to_float(block.scale);
  const float minimum = ft_half_to_float(block.minimum);
  int values[32];
  unpack_5bit(block.high, block.quants, values);
  for (int i = 0; i < 32; i++) out[i] = scale * (float)values[i] + minimum;
}

static void decode_q8_0(const uint8_t *bytes, float *out) {
  ft_block_q8_0 block;
  memcpy(&block, bytes, sizeof block);
  const float scale = ft_half_to_float(block.scale);
  for (int i = 0; i < 32; i++) out[i] = scale * (float)block.quants[i];
}

static void decode_iq4_nl(const uint8_t *bytes, float *out) {
  ft_block_iq4_nl block;
  memcpy(&block, bytes, sizeof block);
  const float scale = ft_half_to_float(block.scale);
  for (int i = 0; i < 16; i++) {
    out[i] = scale * (float)ft_iq4_nl_values[block.quants[i] & 15];
    out[i + 16] = scale * (float)ft_iq4_nl_values[block.quants[i] >> 4];
  }
}

// The 2- and 3-bit formats keep elements 32 p + i (p = 0...3) of each half (128 elements) in bits
// 2p and 2p + 1 of byte i of the half's 32 bytes.

static void decode_q2_k(const uint8_t *bytes, float *out) {
  ft_block_q2_k block;
  memcpy(&block, bytes, sizeof block);
  const float scale = ft_half_to_float(block.scale);
  const float minimum = ft_half_to_float(block.minimum);
  for (int group = 0; group < 16; group++) {
    const float group_scale = scale * (float)(block.scales[group] & 15);
    const float group_minimum = minimum * (float)(block.scales[group] >> 4);
    const uint8_t *quants = block.quants + 32 * (group / 8) + 16 * (group % 2);
    const int shift = 2 * (group % 8 / 2);
    for (int i = 0; i < 16; i++) {
      out[16 * group + i] = group_scale * (float)(quants[i] >> shift & 3) - group_minimum;
    }
  }
}

static void decode_q3_k(const uint8_t *bytes, float *out) {
  ft_block_q3_k block;
  memcpy(&block, bytes, sizeof block);
  const float scale = ft_half_to_float(block.scale);
  int8_t scales[16];
  ft_q3_k_scales(block.scales, scales);
  for (int group = 0; group < 16; group++) {
    const float group_scale = scale * (float)scales[group];
    const uint8_t *quants = block.quants + 32 * (group / 8) + 16 * (group % 2);
    const uint8_t *high = block.high + 16 * (group % 2);
    const int shift = 2 * (group % 8 / 2);
    for (int i = 0; i < 16; i++) {
      const int borrow = high[i] >> (group / 2) & 1 ? 0 : 4;
      out[16 * group + i] = group_scale * (float)((quants[i] >> shift & 3) - borrow);
    }
  }
}

static void decode_q4_k(const uint8_t *bytes, float *out) {
  ft_block_q4_k block;
  memcpy(&block, bytes, sizeof block);
  const float scale = ft_half_to_float(block.scale);
  const float minimum = ft_half_to_float(block.minimum);
  for (int group = 0; group < 8; group++) {
    uint8_t multiplier, offset;
    ft_k_scale_minimum(block.scales, group, &multiplier, &offset);
    const float group_scale = scale * (float)multiplier;
    const float group_minimum = minimum * (float)offset;
    const uint8_t *quants = block.quants + 32 * (group / 2);
    const int shift = 4 * (group % 2);
    for (int i = 0; i < 32; i++) {
      out[32 * group + i] = group_scale * (float)(quants[i] >> shift & 15) - group_minimum;
    }
  }
}

static void decode_q5_k(const uint8_t *bytes, float *out) {
  ft_block_q5_k block;
  memcpy(&block, bytes, sizeof block);
  const float scale = ft_half_to_float(block.scale);
  const float minimum = ft_half_to_float(block.minimum);
  for (int group = 0; group < 8; group++) {
    uint8_t multiplier, offset;
    ft_k_scale_minimum(block.scales, group, &multiplier, &offset);
    const float group_scale = scale * (float)multiplier;
    const float group_minimum = minimum * (float)offset;
    const uint8_t *quants = block.quants + 32 * (group / 2);
    const int shift = 4 * (group % 2);
    for (int i = 0; i < 32; i++) {
      const int value = (quants[i] >> shift & 15) | (block.high[i] >> group & 1) << 4;
      out[32 * group + i] = group_scale * (float)value - group_minimum;
    }
  }
}

static void decode_q6_k(const uint8_t *bytes, float *out) {
  ft_block_q6_k block;
  memcpy(&block, bytes, sizeof block);
  const float scale = ft_half_to_float(block.scale);
  // Quarter q of each half of 128: low nibbles of 32 bytes (q = 0, 1) or their high nibbles
  // (q = 2, 3), and two bits of the half's 32 high bytes.
  for (int quarter = 0; quarter < 8; quarter++) {
    const int half = quarter / 4, q = quarter % 4;
    const uint8_t *low = block.low + 64 * half + 32 * (q % 2);
    const uint8_t *high = block.high + 32 * half;
    const int low_shift = 4 * (q / 2), high_shift = 2 * q;
    for (int i = 0; i < 32; i++) {
      const float group_scale = scale * (float)block.scales[2 * quarter + i / 16];
      const int value = (low[i] >> low_shift & 15) | (high[i] >> high_shift & 3) << 4;
      out[32 * quarter + i] = group_scale * (float)(value - 32);
    }
  }
}

static block_decoder decoder_for(ft_type type) {
  switch (type) {
    case FT_TYPE_F32:
      return decode_f32;
    case FT_TYPE_F16:
      return decode_f16;
    case FT_TYPE_BF16:
      return decode_bf16;
    case FT_TYPE_Q4_0:
      return decode_q4_0;
    case FT_TYPE_Q4_1:
      return decode_q4_1;
    case FT_TYPE_Q5_0:
      return decode_q5_0;
    case FT_TYPE_Q5_1:
      return decode_q5_1;
    case FT_TYPE_Q8_0:
      return decode_q8_0;
    case FT_TYPE_IQ4_NL:
      return decode_iq4_nl;
    case FT_TYPE_Q2_K:
      return decode_q2_k;
    case FT_TYPE_Q3_K:
      return decode_q3_k;
    case FT_TYPE_Q4_K:
      return decode_q4_k;
    case FT_TYPE_Q5_K:
      return decode_q5_k;
    case FT_TYPE_Q6_K:
      return decode_q6_k;
  }
  return NULL;
}

bool ft_dequantize(ft_type type, const void *source, float *destination, size_t count) {
  const block_decoder decode = decoder_for(type);
  if (!decode) return false;
  const size_t elements = (size_t)ft_type_block_elements(type);
  const size_t bytes = (size_t)ft_type_block_bytes(type);
  const uint8_t *block = source;
  for (size_t i = 0; i + elements <= count; i += elements, block += bytes) {
    decode(block, destination + i);
  }
  return true;
}
