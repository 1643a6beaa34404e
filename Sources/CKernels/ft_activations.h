#ifndef FT_ACTIVATIONS_H
#define FT_ACTIVATIONS_H

// The parts of activation quantisation. Private to CKernels.

#include "ft_blocks.h"
#include "ft_isa.h"

#define FT_ACTIVATION_MAX 127.0f
#define FT_NOT_FINITE_BITS 0x7F800000u     // magnitudes from here on are infinite or NaN
#define FT_QUIET_NAN_BITS 0x7FC00000u
#define FT_SMALLEST_STEP_BITS 0x0D800000u  // 2^-100: below it, 127 / x comes near overflow

/// A block's quantisation step. A block that holds an infinity or NaN has zero values under a
/// NaN scale: the damage stays visible in the output and no conversion overflows. A block of
/// magnitudes below 2^-100 counts as zeros.
typedef struct ft_step {
  float scale;
  float inverse;  // 0: all values are 0
} ft_step;

/// The step for the largest magnitude of a block, given by its bits.
ft_step ft_activation_step(uint32_t largest_bits);

/// Where one row's block goes.
typedef struct ft_block_slot {
  int8_t *values;  // [32]
  float *scale;
  float *offset;
  int32_t *zero;
  int32_t *half_zeros;  // [2]
  int16_t *pair_zeros;  // [2]
  int16_t *half_pairs;  // [4]
} ft_block_slot;

/// Quantises `count` (1 ... 32) columns of one row.
typedef void ft_quantize_block_kernel(const float *source, int32_t count, ft_block_slot slot);

ft_quantize_block_kernel ft_quantize_block_portable;
#if FT_HAS_X86
ft_quantize_block_kernel ft_quantize_block_avx2;
#endif
#if FT_HAS_NEON
ft_quantize_block_kernel ft_quantize_block_neon;
#endif

#endif
