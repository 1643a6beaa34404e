#include <string.h>

#include "ft_ops.h"
#include "ft_vector.h"

static size_t value_size(ft_kv_type type) {
  return type == FT_KV_F32 ? 4 : type == FT_KV_F16 ? 2 : 1;
}

size_t ft_kv_head_bytes(ft_kv_type type, int32_t head_dimension) {
  size_t values = (size_t)2 * FT_PAGE_SLOTS * (size_t)head_dimension * value_size(type);
  return type == FT_KV_Q8 ? values + 2 * FT_PAGE_SLOTS * sizeof(float) : values;
}

static uint8_t *head_of(const ft_attention_shape *shape, uint8_t *const *pages, int32_t layer,
                        int32_t head, int32_t slot) {
  return pages[slot / FT_PAGE_SLOTS] + shape->page_layer_stride * (size_t)layer +
         shape->page_head_stride * (size_t)head;
}

static size_t key_index(int32_t slot, int32_t dimension, int32_t d) {
  return ((size_t)(slot / 8) * dimension + d) * 8 + slot % 8;
}

static void move_head(ft_kv_type type, int32_t dimension, const uint8_t *source, int32_t from,
                      uint8_t *target, int32_t to) {
  size_t size = value_size(type), values = (size_t)FT_PAGE_SLOTS * dimension * size;
  for (int32_t d = 0; d < dimension; ++d) {
    memmove(target + key_index(to, dimension, d) * size,
            source + key_index(from, dimension, d) * size, size);
  }
  memmove(target + values + (size_t)to * dimension * size,
          source + values + (size_t)from * dimension * size, dimension * size);
  if (type != FT_KV_Q8) return;
  for (int32_t which = 0; which < 2; ++which) {
    size_t scales = 2 * values + (size_t)which * FT_PAGE_SLOTS * sizeof(float);
    memmove(target + scales + (size_t)to * sizeof(float),
            source + scales + (size_t)from * sizeof(float), sizeof(float));
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
    ft_ops_current()->write_kv(head_of(shape, pages, layer, head, slot), shape->kv_type,
                               shape->head_dimension, slot % FT_PAGE_SLOTS, keys + at,
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
  int32_t dimension = shape->head_dimension, at = slot % FT_PAGE_SLOTS;
  size_t plane = (size_t)FT_PAGE_SLOTS * dimension * value_size(shape->kv_type);
  for (int32_t head = 0; head < shape->kv_heads; ++head) {
    const uint8_t *base = head_of(shape, pages, layer, head, slot);
    const float *scales = (const float *)(base + 2 * plane);
    bool scaled = shape->kv_type == FT_KV_Q8;
    float key_scale = scaled ? scales[at] : 1, value_scale = scaled ? scales[FT_PAGE_SLOTS + at] : 1;
    for (int32_t d = 0; d < dimension; ++d) {
      size_t out = (size_t)head * dimension + d;
      keys[out] = key_scale * read_element(base, key_index(at, dimension, d), shape->kv_type);
      values[out] = value_scale * read_element(base + plane, (size_t)at * dimension + d,
                                               shape->kv_type);
    }
  }
}

const ft_ops *ft_ops_current(void) {
#if defined(__x86_64__)
  if (ft_isa_current() >= FT_ISA_AVX2) return &ft_ops_avx2;
#endif
  return &ft_ops_portable;
}

int32_t ft_argmax(const float *values, int32_t count) {
  return ft_ops_current()->argmax(values, count);
}
