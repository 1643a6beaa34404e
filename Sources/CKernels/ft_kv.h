#ifndef FT_KV_H
#define FT_KV_H

// Where keys and values lie in a page. Private to CKernels.
//
// One head of one layer: keys in blocks of 16 slots, so that sixteen scores are one vector, then the
// values, rows padded to whole vectors.
//   floats  keys [block][dimension][16 slots], values [slot][padded dimension]
//   q8      keys [block][dimension / 2][16 slots][2], values [slot / 2][padded dimension][2], then
//           float scales: of the keys [dimension / 32][slots], of the values [slots]
// The pairs of q8 are what one 16-bit multiply-add takes. Keys have a scale per 32 dimensions: single
// dimensions of some models (Qwen 2.5) are so large that under one scale per head the others lose
// their bits. Perplexity of the 0.5B over 1535 tokens: 23.49 with floats, 24.07 so, 23.40 with 32.

#include "ft_ops.h"

#define FT_KEY_BLOCK 16
/// Dimensions of a q8 key that share a scale.
#define FT_KEY_SCALE_DIMENSIONS 32

static inline size_t ft_kv_element_bytes(ft_kv_type type) {
  return type == FT_KV_F32 ? 4 : type == FT_KV_F16 ? 2 : 1;
}

/// Elements of the key plane, and of the value plane.
static inline size_t ft_key_elements(int32_t dimension) {
  return (size_t)FT_PAGE_SLOTS * (size_t)dimension;
}
static inline size_t ft_value_elements(int32_t dimension) {
  return (size_t)FT_PAGE_SLOTS * (size_t)ft_padded_dimension(dimension);
}

static inline size_t ft_key_index(ft_kv_type type, int32_t dimension, int32_t slot, int32_t d) {
  size_t block = (size_t)(slot / FT_KEY_BLOCK) * dimension, lane = (size_t)(slot % FT_KEY_BLOCK);
  if (type == FT_KV_Q8) return ((block / 2 + d / 2) * FT_KEY_BLOCK + lane) * 2 + d % 2;
  return (block + d) * FT_KEY_BLOCK + lane;
}

static inline size_t ft_value_index(ft_kv_type type, int32_t dimension, int32_t slot, int32_t d) {
  size_t row = (size_t)ft_padded_dimension(dimension);
  if (type == FT_KV_Q8) return ((size_t)(slot / 2) * row + d) * 2 + slot % 2;
  return (size_t)slot * row + d;
}

/// The values of a head.
static inline uint8_t *ft_values(uint8_t *head, ft_kv_type type, int32_t dimension) {
  return head + ft_key_elements(dimension) * ft_kv_element_bytes(type);
}

/// Scales that a q8 key has.
static inline int32_t ft_key_scale_count(int32_t dimension) {
  return (dimension + FT_KEY_SCALE_DIMENSIONS - 1) / FT_KEY_SCALE_DIMENSIONS;
}

/// q8: scales of the keys [ft_key_scale_count, FT_PAGE_SLOTS].
static inline float *ft_key_scales(uint8_t *head, int32_t dimension) {
  return (float *)(head + ft_key_elements(dimension) + ft_value_elements(dimension));
}

/// q8: scales of the values [FT_PAGE_SLOTS].
static inline float *ft_value_scales(uint8_t *head, int32_t dimension) {
  return ft_key_scales(head, dimension) + ft_key_scale_count(dimension) * FT_PAGE_SLOTS;
}

#endif
