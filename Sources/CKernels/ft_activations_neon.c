#include "ft_activations.h"

#if FT_HAS_NEON
#include <arm_neon.h>

#pragma STDC FP_CONTRACT OFF

static uint32_t largest_magnitude(const float *source) {
  uint32x4_t largest = vdupq_n_u32(0);
  for (int i = 0; i < FT_BLOCK_COLUMNS; i += 4) {
    const uint32x4_t bits = vreinterpretq_u32_f32(vld1q_f32(source + i));
    largest = vmaxq_u32(largest, vandq_u32(bits, vdupq_n_u32(0x7FFFFFFF)));
  }
  return vmaxvq_u32(largest);
}

/// 16 floats times `inverse`, rounded to nearest even, as bytes in order.
static int8x16_t quantize_sixteen(const float *source, float inverse) {
  int32x4_t part[4];
  for (int i = 0; i < 4; i++) {
    part[i] = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(source + 4 * i), inverse));
  }
  const int16x8_t low = vcombine_s16(vmovn_s32(part[0]), vmovn_s32(part[1]));
  const int16x8_t high = vcombine_s16(vmovn_s32(part[2]), vmovn_s32(part[3]));
  return vcombine_s8(vmovn_s16(low), vmovn_s16(high));
}

/// Sums of the columns 0 and 1, and of the columns 2 and 3, of every four.
static void sum_pairs(int8x16_t bytes, int32_t pairs[2]) {
  const int16x8_t neighbours = vpaddlq_s8(bytes);
  const int16x4_t folded = vadd_s16(vget_low_s16(neighbours), vget_high_s16(neighbours));
  pairs[0] = vget_lane_s16(folded, 0) + vget_lane_s16(folded, 2);
  pairs[1] = vget_lane_s16(folded, 1) + vget_lane_s16(folded, 3);
}

void ft_quantize_block_neon(const float *source, int32_t count, ft_block_slot slot) {
  float padded[FT_BLOCK_COLUMNS] = {0};
  if (count < FT_BLOCK_COLUMNS) {
    memcpy(padded, source, (size_t)count * sizeof(float));
    source = padded;
  }
  const ft_step step = ft_activation_step(largest_magnitude(source));
  int8x16_t bytes[2] = {vdupq_n_s8(0), vdupq_n_s8(0)};
  if (step.inverse > 0) {
    bytes[0] = quantize_sixteen(source, step.inverse);
    bytes[1] = quantize_sixteen(source + 16, step.inverse);
  }
  vst1q_s8(slot.values, bytes[0]);
  vst1q_s8(slot.values + 16, bytes[1]);
  int32_t pairs[2][2];  // [half][columns 0 and 1, or 2 and 3, of every four]
  sum_pairs(bytes[0], pairs[0]);
  sum_pairs(bytes[1], pairs[1]);
  const int32_t halves[2] = {pairs[0][0] + pairs[0][1], pairs[1][0] + pairs[1][1]};
  const int32_t sum = halves[0] + halves[1];
  *slot.scale = step.scale;
  *slot.offset = step.scale * (float)sum;
  *slot.zero = -FT_ZERO_STEP * sum;
  for (int i = 0; i < 2; i++) {
    slot.half_zeros[i] = -FT_INT6_ZERO * halves[i];
    slot.pair_zeros[i] = (int16_t)(-FT_ZERO_STEP * (pairs[0][i] + pairs[1][i]));
    slot.half_pairs[2 * i] = (int16_t)(-FT_INT6_ZERO * pairs[i][0]);
    slot.half_pairs[2 * i + 1] = (int16_t)(-FT_INT6_ZERO * pairs[i][1]);
  }
}

#endif
