#include "ft_isa.h"

#if FT_HAS_NEON
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("arch=armv8.2-a+dotprod"))), apply_to = function)
#include "ft_matmul_neon.h"

// A block is unpacked once into sixteen registers, then every activation row of the tile meets it.
// Multiplications and additions of floats stay separate, so the bits are those of the portable path.

FT_INLINE void unpack5(const uint8_t *block, uint8x16_t q[2 * FT_BLOCK_VECTORS]) {
  unpack_nibbles(block, q);
  for (int half = 0; half < 2; half++) {
    const uint8x16_t fifth = vld1q_u8(block + 4 * FT_VECTOR_BYTES + 16 * half);
    for (int vector = 0; vector < FT_BLOCK_VECTORS; vector++) {
      const uint8x16_t bit = vshlq_u8(fifth, vdupq_n_s8((int8_t)(4 - vector)));
      uint8x16_t *own = &q[2 * vector + half];
      *own = vorrq_u8(*own, vandq_u8(bit, vdupq_n_u8(16)));
    }
  }
}

/// INT6 with its zero taken off: -32 ... 31.
FT_INLINE void unpack6(const uint8_t *block, uint8x16_t q[2 * FT_BLOCK_VECTORS]) {
  unpack_nibbles(block, q);
  for (int part = 0; part < 4; part++) {  // [4 vectors][half]
    const uint8x16_t top = vld1q_u8(block + 4 * FT_VECTOR_BYTES + 16 * part);
    for (int i = 0; i < 4; i++) {
      const uint8x16_t pair = vshlq_u8(top, vdupq_n_s8((int8_t)(4 - 2 * i)));
      uint8x16_t *own = &q[2 * (4 * (part / 2) + i) + part % 2];
      *own = vsubq_u8(vorrq_u8(*own, vandq_u8(pair, vdupq_n_u8(0x30))),
                      vdupq_n_u8(FT_INT6_ZERO));
    }
  }
}

/// total + (scale * products + offset * sum_k m[k] sum(a)) * activation scale, for the activation
/// group whose offsets are `offsets`.
FT_INLINE ft_float8 flush_affine(ft_float8 total, ft_sums8 products, const ft_super_neon *super,
                                 const int16x8_t offsets[FT_GROUP_BLOCKS], const int16_t *sums,
                                 float activation_scale) {
  ft_sums8 offset = {{vdupq_n_s32(0), vdupq_n_s32(0)}};
  for (int k = 0; k < FT_GROUP_BLOCKS; k++) {
    offset.half[0] = vmlal_n_s16(offset.half[0], vget_low_s16(offsets[k]), sums[k]);
    offset.half[1] = vmlal_n_s16(offset.half[1], vget_high_s16(offsets[k]), sums[k]);
  }
  for (int half = 0; half < 2; half++) {
    const float32x4_t value =
        vaddq_f32(vmulq_f32(super->scale.half[half], vcvtq_f32_s32(products.half[half])),
                  vmulq_f32(super->offset.half[half], vcvtq_f32_s32(offset.half[half])));
    total.half[half] =
        vaddq_f32(total.half[half], vmulq_f32(value, vdupq_n_f32(activation_scale)));
  }
  return total;
}

FT_INLINE ft_float8 flush_scaled(ft_float8 total, ft_float8 values, float activation_scale) {
  for (int half = 0; half < 2; half++) {
    total.half[half] = vaddq_f32(
        total.half[half], vmulq_f32(values.half[half], vdupq_n_f32(activation_scale)));
  }
  return total;
}

/// Where a kernel stands: the next byte of weights and the activations that belong to it.
typedef struct position {
  const uint8_t *next;
  const int8_t *values;
  const int16_t *sums;
  const float *scales;
} position;

FT_INLINE position start_of(const ft_matrix *matrix, const ft_format *format, int32_t group,
                            const ft_tile *tile) {
  return (position){(const uint8_t *)matrix->data + (size_t)group * format->group_bytes,
                    tile->values, tile->sums, tile->scales};
}

FT_INLINE void next_block(position *at, int32_t block_bytes, const ft_tile *tile) {
  at->next += block_bytes;
  at->values += (size_t)tile->stride * FT_BLOCK_COLUMNS;
}

FT_INLINE void next_group(position *at, const ft_tile *tile) {
  at->sums += tile->stride * FT_GROUP_SUMS;
  at->scales += tile->stride;
}

FT_INLINE void clear_totals(ft_float8 totals[FT_TILE_ROWS], int32_t rows) {
  for (int32_t row = 0; row < rows; row++) {
    totals[row] = (ft_float8){{vdupq_n_f32(0), vdupq_n_f32(0)}};
  }
}

FT_INLINE void store_totals(const ft_float8 totals[FT_TILE_ROWS], int32_t rows, float *out,
                            size_t out_stride, int32_t valid_rows) {
  for (int32_t row = 0; row < rows; row++) {
    store_rows(out + (size_t)row * out_stride, totals[row], valid_rows);
  }
}

FT_INLINE void multiply_affine(bool five, const ft_matrix *matrix, const ft_format *format,
                               int32_t group, const ft_tile *tile, float *out, size_t out_stride,
                               int32_t valid_rows) {
  const int32_t block_bytes = (five ? 5 : 4) * FT_VECTOR_BYTES;
  position at = start_of(matrix, format, group, tile);
  ft_float8 totals[FT_TILE_ROWS];
  clear_totals(totals, tile->rows);
  const int32_t supers = format->full_supers + (format->tail_blocks > 0);
  for (int32_t index = 0; index < supers; index++) {
    const int32_t blocks = index < format->full_supers ? FT_SUPER_BLOCKS : format->tail_blocks;
    ft_super_neon super;
    load_super(format, at.next, blocks, &super);
    at.next += ft_header_bytes(format->header, blocks);
    for (int32_t first = 0; first < blocks; first += FT_GROUP_BLOCKS) {
      ft_sums8 products[FT_TILE_ROWS];
      memset(products, 0, (size_t)tile->rows * sizeof products[0]);
      for (int32_t block = first; block < first + FT_GROUP_BLOCKS && block < blocks; block++) {
        uint8x16_t q[2 * FT_BLOCK_VECTORS];
        prefetch_stream(at.next, block_bytes);
        if (five) {
          unpack5(at.next, q);
        } else {
          unpack_nibbles(at.next, q);
        }
        for (int32_t row = 0; row < tile->rows; row++) {
          const ft_sums8 dot = dot_block(q, at.values + row * FT_BLOCK_COLUMNS);
          products[row] = add_scaled(products[row], dot, super.scales[block]);
        }
        next_block(&at, block_bytes, tile);
      }
      for (int32_t row = 0; row < tile->rows; row++) {
        totals[row] = flush_affine(totals[row], products[row], &super, &super.offsets[first],
                                   at.sums + row * FT_GROUP_SUMS, at.scales[row]);
      }
      next_group(&at, tile);
    }
  }
  store_totals(totals, tile->rows, out, out_stride, valid_rows);
}

void ft_matmul_group_neon_int4(const ft_matrix *matrix, const ft_format *format, int32_t group,
                               const ft_tile *tile, float *out, size_t out_stride,
                               int32_t valid_rows) {
  multiply_affine(false, matrix, format, group, tile, out, out_stride, valid_rows);
}

void ft_matmul_group_neon_int5(const ft_matrix *matrix, const ft_format *format, int32_t group,
                               const ft_tile *tile, float *out, size_t out_stride,
                               int32_t valid_rows) {
  multiply_affine(true, matrix, format, group, tile, out, out_stride, valid_rows);
}

void ft_matmul_group_neon_int6(const ft_matrix *matrix, const ft_format *format, int32_t group,
                               const ft_tile *tile, float *out, size_t out_stride,
                               int32_t valid_rows) {
  const int32_t block_bytes = 6 * FT_VECTOR_BYTES;
  position at = start_of(matrix, format, group, tile);
  ft_float8 totals[FT_TILE_ROWS];
  clear_totals(totals, tile->rows);
  for (int32_t index = 0; index < format->full_supers; index++) {
    const ft_float8 scale = load_floats(at.next);
    const int8_t *integers = (const int8_t *)at.next + 32;
    at.next += ft_header_bytes(FT_HEADER_SIXTEEN, FT_SUPER_BLOCKS);
    for (int32_t first = 0; first < FT_SUPER_BLOCKS; first += FT_GROUP_BLOCKS) {
      ft_sums8 products[FT_TILE_ROWS];
      memset(products, 0, (size_t)tile->rows * sizeof products[0]);
      for (int32_t block = first; block < first + FT_GROUP_BLOCKS; block++) {
        const int16x8_t scale0 = vmovl_s8(vld1_s8(integers + 2 * block * FT_GROUP_ROWS));
        const int16x8_t scale1 = vmovl_s8(vld1_s8(integers + (2 * block + 1) * FT_GROUP_ROWS));
        uint8x16_t q[2 * FT_BLOCK_VECTORS];
        prefetch_stream(at.next, block_bytes);
        unpack6(at.next, q);
        const ft_sums8 zero = {{vdupq_n_s32(0), vdupq_n_s32(0)}};
        for (int32_t row = 0; row < tile->rows; row++) {
          const int8_t *values = at.values + row * FT_BLOCK_COLUMNS;
          const ft_sums8 dot0 = dot_sixteen(zero, q, values);
          const ft_sums8 dot1 = dot_sixteen(zero, q + FT_BLOCK_VECTORS, values + 16);
          products[row] = add_scaled(add_scaled(products[row], dot0, scale0), dot1, scale1);
        }
        next_block(&at, block_bytes, tile);
      }
      for (int32_t row = 0; row < tile->rows; row++) {
        ft_float8 values;
        for (int half = 0; half < 2; half++) {
          values.half[half] = vmulq_f32(scale.half[half], vcvtq_f32_s32(products[row].half[half]));
        }
        totals[row] = flush_scaled(totals[row], values, at.scales[row]);
      }
      next_group(&at, tile);
    }
  }
  store_totals(totals, tile->rows, out, out_stride, valid_rows);
}

void ft_matmul_group_neon_int8(const ft_matrix *matrix, const ft_format *format, int32_t group,
                               const ft_tile *tile, float *out, size_t out_stride,
                               int32_t valid_rows) {
  const int32_t block_bytes = FT_BLOCK_VECTORS * FT_VECTOR_BYTES;
  position at = start_of(matrix, format, group, tile);
  ft_float8 totals[FT_TILE_ROWS];
  clear_totals(totals, tile->rows);
  const int32_t supers = format->full_supers + (format->tail_blocks > 0);
  for (int32_t index = 0; index < supers; index++) {
    const int32_t blocks = index < format->full_supers ? FT_SUPER_BLOCKS : format->tail_blocks;
    const uint8_t *scales = at.next;
    at.next += ft_header_bytes(FT_HEADER_FLOATS, blocks);
    for (int32_t first = 0; first < blocks; first += FT_GROUP_BLOCKS) {
      ft_float8 parts[FT_TILE_ROWS];
      clear_totals(parts, tile->rows);
      for (int32_t block = first; block < first + FT_GROUP_BLOCKS && block < blocks; block++) {
        const ft_float8 scale = load_halves(scales + 16 * block);
        uint8x16_t q[2 * FT_BLOCK_VECTORS];
        prefetch_stream(at.next, block_bytes);
        for (int i = 0; i < 2 * FT_BLOCK_VECTORS; i++) q[i] = vld1q_u8(at.next + 16 * i);
        for (int32_t row = 0; row < tile->rows; row++) {
          const ft_sums8 dot = dot_block(q, at.values + row * FT_BLOCK_COLUMNS);
          for (int half = 0; half < 2; half++) {
            parts[row].half[half] = vaddq_f32(
                parts[row].half[half], vmulq_f32(scale.half[half], vcvtq_f32_s32(dot.half[half])));
          }
        }
        next_block(&at, block_bytes, tile);
      }
      for (int32_t row = 0; row < tile->rows; row++) {
        totals[row] = flush_scaled(totals[row], parts[row], at.scales[row]);
      }
      next_group(&at, tile);
    }
  }
  store_totals(totals, tile->rows, out, out_stride, valid_rows);
}

#pragma clang attribute pop
#endif
