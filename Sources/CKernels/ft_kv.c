#include <string.h>

#include "ft_kv.h"

size_t ft_kv_head_bytes(ft_kv_type type, int32_t head_dimension) {
  size_t elements = ft_key_elements(head_dimension) + ft_value_elements(head_dimension);
  size_t bytes = elements * ft_kv_element_bytes(type);
  size_t scales = (size_t)(ft_key_scale_count(head_dimension) + 1) * FT_PAGE_SLOTS;
  return type == FT_KV_Q8 ? bytes + scales * sizeof(float) : bytes;
}

static uint8_t *head_of(const ft_attention_shape *shape, uint8_t *const *pages, int32_t layer,
                        int32_t head, int32_t slot) {
  return pages[slot / FT_PAGE_SLOTS] + shape->page_layer_stride * (size_t)layer +
         shape->page_head_stride * (size_t)head;
}

static void move_head(ft_kv_type type, int32_t dimension, uint8_t *source, int32_t from,
                      uint8_t *target, int32_t to) {
  size_t size = ft_kv_element_bytes(type);
  const uint8_t *source_values = ft_values(source, type, dimension);
  uint8_t *target_values = ft_values(target, type, dimension);
  for (int32_t d = 0; d < dimension; ++d) {
    memmove(target + ft_key_index(type, dimension, to, d) * size,
            source + ft_key_index(type, dimension, from, d) * size, size);
    memmove(target_values + ft_value_index(type, dimension, to, d) * size,
            source_values + ft_value_index(type, dimension, from, d) * size, size);
  }
  if (type != FT_KV_Q8) return;
  // The scales of the values follow those of the keys.
  const float *source_scales = ft_key_scales(source, dimension);
  float *target_scales = ft_key_scales(target, dimension);
  for (int32_t i = 0; i <= ft_key_scale_count(dimension); ++i) {
    target_scales[i * FT_PAGE_SLOTS + to] = source_scales[i * FT_PAGE_SLOTS + from];
  }
}

void ft_kv_move_slot(const ft_attention_shape *shape, int32_t layers, uint8_t *const *pages,
                     int32_t from, int32_t to) {
  for (int32_t layer = 0; layer < layers; ++layer) {
    for (int32_t head = 0; head < shape->kv_heads; ++head) {
      move_head(shape->kv_type, shape->head_dimension, head_of(shape, pages, layer, head, from),
                from % FT_PAGE_SLOTS, head_of(shape, pages, layer, head, to),
                to % FT_PAGE_SLOTS);
    }
  }
}

void ft_kv_write(const ft_attention_shape *shape, uint8_t *const *pages, int32_t layer,
                 int32_t slot, const float *keys, const float *values) {
  for (int32_t head = 0; head < shape->kv_heads; ++head) {
    size_t at = (size_t)head * shape->head_dimension;
    uint8_t *base = head_of(shape, pages, layer, head, slot);
    const ft_ops *ops = ft_ops_current();
    ops->write_key(base, shape->kv_type, shape->head_dimension, slot % FT_PAGE_SLOTS, keys + at);
    ops->write_value(base, shape->kv_type, shape->head_dimension, slot % FT_PAGE_SLOTS,
                     values + at);
  }
}

static float read_element(const uint8_t *base, size_t index, ft_kv_type type) {
  if (type == FT_KV_F32) return ((const float *)base)[index];
  if (type == FT_KV_Q8) return (float)((const int8_t *)base)[index];
  float value;
  ft_dequantize(FT_TYPE_F16, base + 2 * index, &value, 1);
  return value;
}

void ft_kv_read(const ft_attention_shape *shape, uint8_t *const *pages, int32_t layer,
                int32_t slot, float *keys, float *values) {
  ft_kv_type type = shape->kv_type;
  int32_t dimension = shape->head_dimension, at = slot % FT_PAGE_SLOTS;
  for (int32_t head = 0; head < shape->kv_heads; ++head) {
    uint8_t *base = head_of(shape, pages, layer, head, slot);
    const uint8_t *stored = ft_values(base, type, dimension);
    bool scaled = type == FT_KV_Q8;
    const float *key_scales = ft_key_scales(base, dimension) + at;
    float value_scale = scaled ? ft_value_scales(base, dimension)[at] : 1;
    for (int32_t d = 0; d < dimension; ++d) {
      size_t out = (size_t)head * dimension + d;
      float key_scale = scaled ? key_scales[d / FT_KEY_SCALE_DIMENSIONS * FT_PAGE_SLOTS] : 1;
      keys[out] = key_scale * read_element(base, ft_key_index(type, dimension, at, d), type);
      values[out] =
          value_scale * read_element(stored, ft_value_index(type, dimension, at, d), type);
    }
  }
}

const ft_ops *ft_ops_current(void) {
#if defined(__x86_64__)
  switch (ft_isa_current()) {
    case FT_ISA_AVX512VNNI: return &ft_ops_avx512;
    case FT_ISA_AVX2: return &ft_ops_avx2;
    default: break;
  }
#endif
  return &ft_ops_portable;
}

int32_t ft_argmax(const float *values, int32_t count) {
  return ft_ops_current()->argmax(values, count);
}
