#include <string.h>

#include "ft_activations.h"

#pragma STDC FP_CONTRACT OFF

#define ALIGNMENT 64

static size_t aligned(size_t bytes) { return (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1); }

typedef struct sizes {
  size_t values, scales, sums;
} sizes;

static sizes sizes_of(int32_t columns, int32_t capacity) {
  sizes bytes = {0, 0, 0};
  if (columns <= 0 || capacity <= 0) return bytes;
  const ft_tiling tiling = ft_activation_tiling(columns, capacity);
  const size_t rows = (size_t)tiling.tiles * (size_t)tiling.tile_rows;
  bytes.values = aligned(rows * (size_t)tiling.blocks * FT_BLOCK_COLUMNS);
  bytes.scales = aligned(rows * (size_t)tiling.groups * sizeof(float));
  bytes.sums = aligned(rows * (size_t)tiling.groups * FT_GROUP_SUMS * sizeof(int16_t));
  return bytes;
}

size_t ft_activations_bytes(int32_t columns, int32_t capacity) {
  const sizes bytes = sizes_of(columns, capacity);
  return bytes.values + bytes.scales + bytes.sums + ALIGNMENT;
}

void ft_activations_init(ft_activations *activations, void *memory, int32_t columns,
                         int32_t capacity) {
  const sizes bytes = sizes_of(columns, capacity);
  uint8_t *base = (uint8_t *)aligned((size_t)(uintptr_t)memory);
  activations->columns = columns;
  activations->capacity = capacity;
  activations->source = NULL;
  activations->source_stride = 0;
  activations->values = (int8_t *)base;
  activations->scales = (float *)(base + bytes.values);
  activations->sums = (int16_t *)(base + bytes.values + bytes.scales);
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

void ft_quantize_group_portable(const float *source, int32_t count, ft_group_slot slot) {
  float padded[FT_ACTIVATION_GROUP] = {0};
  memcpy(padded, source, (size_t)count * sizeof(float));
  uint32_t largest = 0;
  for (int i = 0; i < FT_ACTIVATION_GROUP; i++) {
    const uint32_t bits = magnitude_bits(padded[i]);
    largest = bits > largest ? bits : largest;
  }
  const ft_step step = ft_activation_step(largest);
  *slot.scale = step.scale;
  const int32_t blocks = (count + FT_BLOCK_COLUMNS - 1) / FT_BLOCK_COLUMNS;
  for (int32_t block = 0; block < FT_GROUP_BLOCKS; block++) {
    int16_t sums[2][2] = {{0, 0}, {0, 0}};
    int8_t quantized[FT_BLOCK_COLUMNS] = {0};
    for (int i = 0; i < FT_BLOCK_COLUMNS && step.inverse > 0; i++) {
      const int32_t value = round_small(padded[block * FT_BLOCK_COLUMNS + i] * step.inverse);
      quantized[i] = (int8_t)value;
      sums[i / 16][i / 2 % 2] = (int16_t)(sums[i / 16][i / 2 % 2] + value);
    }
    slot.sums[block] = (int16_t)(sums[0][0] + sums[0][1] + sums[1][0] + sums[1][1]);
    int16_t *pairs = slot.sums + FT_GROUP_BLOCKS + 4 * block;
    for (int i = 0; i < 4; i++) pairs[i] = (int16_t)(-FT_INT6_ZERO * sums[i / 2][i % 2]);
    if (block < blocks) {
      memcpy(slot.values + (size_t)block * slot.block_stride, quantized, sizeof quantized);
    }
  }
}

void ft_activations_quantize(ft_activations *activations, const float *source,
                             size_t source_stride, int32_t row_begin, int32_t row_end) {
  activations->source = source;
  activations->source_stride = source_stride;
  const int32_t columns = activations->columns;
  const ft_tiling tiling = ft_activation_tiling(columns, activations->capacity);
  ft_quantize_group_kernel *quantize = ft_quantize_group_portable;
#if FT_HAS_X86
  if (ft_isa_current() != FT_ISA_PORTABLE) quantize = ft_quantize_group_avx2;
#endif
#if FT_HAS_NEON
  if (ft_isa_current() == FT_ISA_NEON) quantize = ft_quantize_group_neon;
#endif
  for (int32_t row = row_begin; row < row_end; row++) {
    const int32_t lane = row % tiling.tile_rows;
    const ft_tile tile =
        ft_activation_tile(activations, tiling, row / tiling.tile_rows, tiling.tile_rows);
    ft_group_slot slot;
    slot.block_stride = (size_t)tile.stride * FT_BLOCK_COLUMNS;
    for (int32_t group = 0; group < tiling.groups; group++) {
      const size_t entry = (size_t)group * (size_t)tile.stride + (size_t)lane;
      slot.values = (int8_t *)tile.values + (size_t)group * FT_GROUP_BLOCKS * slot.block_stride +
                    (size_t)lane * FT_BLOCK_COLUMNS;
      slot.scale = (float *)tile.scales + entry;
      slot.sums = (int16_t *)tile.sums + entry * FT_GROUP_SUMS;
      const int32_t first = group * FT_ACTIVATION_GROUP;
      const int32_t left = columns - first;
      quantize(source + (size_t)row * source_stride + first,
               left < FT_ACTIVATION_GROUP ? left : FT_ACTIVATION_GROUP, slot);
    }
  }
}
