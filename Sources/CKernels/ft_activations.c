#include <string.h>

#include "ft_activations.h"

#pragma STDC FP_CONTRACT OFF

#define ALIGNMENT 64

static size_t aligned(size_t bytes) { return (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1); }

/// Bytes of each plane.
typedef struct plane_sizes {
  size_t values, words, pairs;
} plane_sizes;

static plane_sizes plane_sizes_of(int32_t columns, int32_t capacity) {
  plane_sizes bytes = {0, 0, 0};
  if (columns <= 0 || capacity <= 0) return bytes;
  const ft_tiling tiling = ft_activation_tiling(columns, capacity);
  const size_t rows = (size_t)tiling.tiles * (size_t)tiling.tile_rows;
  const size_t blocks = rows * (size_t)tiling.blocks;
  bytes.values = aligned(blocks * FT_BLOCK_COLUMNS);
  bytes.words = aligned(blocks * sizeof(float));
  bytes.pairs = aligned(blocks * 2 * sizeof(int32_t));
  return bytes;
}

size_t ft_activations_bytes(int32_t columns, int32_t capacity) {
  const plane_sizes bytes = plane_sizes_of(columns, capacity);
  return bytes.values + 4 * bytes.words + 2 * bytes.pairs + ALIGNMENT;
}

void ft_activations_init(ft_activations *activations, void *memory, int32_t columns,
                         int32_t capacity) {
  const plane_sizes bytes = plane_sizes_of(columns, capacity);
  uint8_t *next = (uint8_t *)aligned((size_t)(uintptr_t)memory);
  activations->columns = columns;
  activations->capacity = capacity;
  activations->source = NULL;
  activations->source_stride = 0;
  activations->values = (int8_t *)next;
  next += bytes.values;
  activations->scales = (float *)next;
  next += bytes.words;
  activations->offsets = (float *)next;
  next += bytes.words;
  activations->zeros = (int32_t *)next;
  next += bytes.words;
  activations->pair_zeros = (int16_t *)next;
  next += bytes.words;
  activations->half_zeros = (int32_t *)next;
  next += bytes.pairs;
  activations->half_pairs = (int16_t *)next;
}

static uint32_t magnitude_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits & 0x7FFFFFFFu;
}

/// Nearest integer, ties to even, for magnitudes below 2^22.
static int32_t round_small(float value) {
  const float shifted = value + 0x1.8p23f;
  int32_t bits;
  memcpy(&bits, &shifted, sizeof bits);
  return bits - 0x4B400000;
}

ft_step ft_activation_step(uint32_t largest_bits) {
  ft_step step = {0, 0};
  if (largest_bits >= FT_NOT_FINITE_BITS) {
    step.scale = ft_float_from_bits(FT_QUIET_NAN_BITS);
  } else if (largest_bits >= FT_SMALLEST_STEP_BITS) {
    const float largest = ft_float_from_bits(largest_bits);
    step.scale = largest / FT_ACTIVATION_MAX;
    step.inverse = FT_ACTIVATION_MAX / largest;
  }
  return step;
}

void ft_quantize_block_portable(const float *source, int32_t count, ft_block_slot slot) {
  float padded[FT_BLOCK_COLUMNS] = {0};
  memcpy(padded, source, (size_t)count * sizeof(float));
  uint32_t largest = 0;
  for (int i = 0; i < FT_BLOCK_COLUMNS; i++) {
    const uint32_t bits = magnitude_bits(padded[i]);
    largest = bits > largest ? bits : largest;
  }
  const ft_step step = ft_activation_step(largest);
  int8_t quantized[FT_BLOCK_COLUMNS] = {0};
  int32_t pairs[2][2] = {{0, 0}, {0, 0}};  // [half][columns 0 and 1, or 2 and 3, of every four]
  for (int i = 0; i < FT_BLOCK_COLUMNS && step.inverse > 0; i++) {
    const int32_t value = round_small(padded[i] * step.inverse);
    quantized[i] = (int8_t)value;
    pairs[i / 16][i / 2 % 2] += value;
  }
  const int32_t halves[2] = {pairs[0][0] + pairs[0][1], pairs[1][0] + pairs[1][1]};
  const int32_t sum = halves[0] + halves[1];
  memcpy(slot.values, quantized, sizeof quantized);
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

static ft_quantize_block_kernel *quantize_kernel(void) {
#if FT_HAS_X86
  if (ft_isa_current() != FT_ISA_PORTABLE) return ft_quantize_block_avx2;
#endif
#if FT_HAS_NEON
  if (ft_isa_current() == FT_ISA_NEON) return ft_quantize_block_neon;
#endif
  return ft_quantize_block_portable;
}

int32_t ft_activations_blocks(const ft_activations *activations) {
  return ft_activation_tiling(activations->columns, activations->capacity).blocks;
}

int32_t ft_activations_tile_rows(const ft_activations *activations) {
  return ft_activation_tiling(activations->columns, activations->capacity).tile_rows;
}

void ft_activations_quantize(ft_activations *activations, const float *source,
                             size_t source_stride, int32_t row_begin, int32_t row_end) {
  ft_activations_quantize_blocks(activations, source, source_stride, row_begin, row_end, 0,
                                 ft_activations_blocks(activations));
}

void ft_activations_quantize_blocks(ft_activations *activations, const float *source,
                                    size_t source_stride, int32_t row_begin, int32_t row_end,
                                    int32_t block_begin, int32_t block_end) {
  activations->source = source;
  activations->source_stride = source_stride;
  const int32_t columns = activations->columns;
  const ft_tiling tiling = ft_activation_tiling(columns, activations->capacity);
  ft_quantize_block_kernel *quantize = quantize_kernel();
  for (int32_t row = row_begin; row < row_end; row++) {
    const ft_tile tile =
        ft_activation_tile(activations, tiling, row / tiling.tile_rows, tiling.tile_rows);
    size_t entry = (size_t)(row % tiling.tile_rows) + (size_t)block_begin * (size_t)tile.stride;
    for (int32_t block = block_begin; block < block_end; block++, entry += (size_t)tile.stride) {
      const ft_block_slot slot = {
          .values = (int8_t *)tile.values + entry * FT_BLOCK_COLUMNS,
          .scale = (float *)tile.scales + entry,
          .offset = (float *)tile.offsets + entry,
          .zero = (int32_t *)tile.zeros + entry,
          .half_zeros = (int32_t *)tile.half_zeros + entry * 2,
          .pair_zeros = (int16_t *)tile.pair_zeros + entry * 2,
          .half_pairs = (int16_t *)tile.half_pairs + entry * 4,
      };
      const int32_t first = block * FT_BLOCK_COLUMNS;
      const int32_t left = columns - first;
      quantize(source + (size_t)row * source_stride + first,
               left < FT_BLOCK_COLUMNS ? left : FT_BLOCK_COLUMNS, slot);
    }
  }
}
