#ifndef FT_MATMUL_NEON_H
#define FT_MATMUL_NEON_H

// What the NEON kernels share: the headers of super-blocks and the float part of a product. Include
// between the target attribute's push and pop.
//
// A 32-byte vector of a block is two registers, rows 0-3 and rows 4-7, and four columns of a row are
// one 32-bit lane: the operands of `sdot` as they lie. Its second operand is four activations, picked
// by lane from the register that holds 16 of them, so nothing is broadcast and no 16-bit step exists.

#include <arm_neon.h>
#include <string.h>

#include "ft_matmul.h"

#define FT_INLINE static inline __attribute__((always_inline))

/// How far ahead of the weights in use to prefetch.
#define FT_PREFETCH_BYTES 1024
#define FT_CACHE_LINE 64

FT_INLINE void prefetch_stream(const uint8_t *source, int32_t bytes) {
  for (int32_t i = 0; i < bytes; i += FT_CACHE_LINE) {
    __builtin_prefetch(source + FT_PREFETCH_BYTES + i);
  }
}

/// Eight floats or eight 32-bit integers, one for each row of a group.
typedef struct ft_float8 {
  float32x4_t half[2];
} ft_float8;
typedef struct ft_sums8 {
  int32x4_t half[2];
} ft_sums8;

FT_INLINE ft_float8 load_floats(const uint8_t *source) {
  const float *floats = (const float *)source;
  return (ft_float8){{vld1q_f32(floats), vld1q_f32(floats + 4)}};
}

FT_INLINE ft_float8 load_halves(const uint8_t *source) {
  const uint16x8_t bits = vreinterpretq_u16_u8(vld1q_u8(source));
  return (ft_float8){{vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(bits))),
                      vcvt_f32_f16(vreinterpret_f16_u16(vget_high_u16(bits)))}};
}

/// The scales of a super-block of INT4 or INT5: [block], a lane for each row.
typedef struct ft_super_neon {
  ft_float8 scale;
  ft_float8 offset;
  int16x8_t scales[FT_SUPER_BLOCKS];
  int16x8_t offsets[FT_SUPER_BLOCKS];
} ft_super_neon;

/// One block's numbers of a plane of 12-bit numbers (see ft_matrix_format.h).
FT_INLINE int16x8_t load_twelve(const uint8_t *plane, int32_t blocks, int32_t block) {
  const int8x8_t tops = vld1_s8((const int8_t *)plane + block * FT_GROUP_ROWS);
  uint32_t pairs;
  memcpy(&pairs, plane + blocks * FT_GROUP_ROWS + block * FT_GROUP_ROWS / 2, sizeof pairs);
  const uint64_t nibbles =
      (pairs & 0x0F0F0F0Fu) | (uint64_t)(pairs >> 4 & 0x0F0F0F0Fu) << 32;
  const int16x8_t low = vreinterpretq_s16_u16(vmovl_u8(vcreate_u8(nibbles)));
  return vorrq_s16(vshll_n_s8(tops, 4), low);
}

FT_INLINE void load_k(const uint8_t *header, ft_super_neon *super) {
  super->scale = load_halves(header);
  const ft_float8 minimum = load_halves(header + 16);
  super->offset = (ft_float8){{vnegq_f32(minimum.half[0]), vnegq_f32(minimum.half[1])}};
  const uint8_t *nibbles = header + 32;
  const uint8_t *tops = nibbles + FT_SUPER_BLOCKS * FT_GROUP_ROWS;
  for (int block = 0; block < FT_SUPER_BLOCKS; block++) {
    const uint8x8_t low = vld1_u8(nibbles + block * FT_GROUP_ROWS);
    uint8x8_t top = vld1_u8(tops + block % 4 * FT_GROUP_ROWS);
    if (block >= 4) top = vshr_n_u8(top, 4);
    const uint8x8_t scale_top = vshl_n_u8(vand_u8(top, vdup_n_u8(3)), 4);
    const uint8x8_t offset_top = vshl_n_u8(vand_u8(top, vdup_n_u8(12)), 2);
    const uint8x8_t scale = vorr_u8(vand_u8(low, vdup_n_u8(15)), scale_top);
    const uint8x8_t offset = vorr_u8(vshr_n_u8(low, 4), offset_top);
    super->scales[block] = vreinterpretq_s16_u16(vmovl_u8(scale));
    super->offsets[block] = vreinterpretq_s16_u16(vmovl_u8(offset));
  }
}

/// Reads the header of a super-block of INT4 or INT5.
FT_INLINE void load_super(const ft_format *format, const uint8_t *header, int32_t blocks,
                          ft_super_neon *super) {
  if (format->header == FT_HEADER_K) {
    load_k(header, super);
    return;
  }
  const bool affine = format->header == FT_HEADER_AFFINE;
  super->scale = load_floats(header);
  if (affine) {
    super->offset = load_floats(header + 32);
  } else {
    const float32x4_t zero = vdupq_n_f32((float)-format->zero);
    super->offset = (ft_float8){
        {vmulq_f32(super->scale.half[0], zero), vmulq_f32(super->scale.half[1], zero)}};
  }
  const uint8_t *plane = header + (affine ? 64 : 32);
  for (int32_t block = 0; block < FT_SUPER_BLOCKS; block++) {
    // Blocks that do not exist count 0: the last activation group may reach over them.
    const bool exists = block < blocks;
    super->scales[block] = exists ? load_twelve(plane, blocks, block) : vdupq_n_s16(0);
    super->offsets[block] = super->scales[block];
    if (affine && exists) {
      super->offsets[block] = load_twelve(plane + blocks * FT_SCALE12_BYTES, blocks, block);
    }
  }
}

/// Low and high nibbles of the four vectors of a block: vectors 0-3 and 4-7, two registers each.
FT_INLINE void unpack_nibbles(const uint8_t *block, uint8x16_t q[2 * FT_BLOCK_VECTORS]) {
  for (int i = 0; i < FT_BLOCK_VECTORS; i++) {
    const uint8x16_t bytes = vld1q_u8(block + 16 * i);
    q[i] = vandq_u8(bytes, vdupq_n_u8(15));
    q[i + FT_BLOCK_VECTORS] = vshrq_n_u8(bytes, 4);
  }
}

/// Sums of 16 columns and one activation row; `q` are the eight registers of four vectors.
FT_INLINE ft_sums8 dot_sixteen(ft_sums8 sum, const uint8x16_t *q, const int8_t *values) {
  const int8x16_t a = vld1q_s8(values);
#define STEP(part, t) \
  sum.half[part] = vdotq_laneq_s32(sum.half[part], vreinterpretq_s8_u8(q[2 * t + part]), a, t);
  STEP(0, 0) STEP(1, 0) STEP(0, 1) STEP(1, 1) STEP(0, 2) STEP(1, 2) STEP(0, 3) STEP(1, 3)
#undef STEP
  return sum;
}

FT_INLINE ft_sums8 dot_block(const uint8x16_t q[2 * FT_BLOCK_VECTORS], const int8_t *values) {
  const ft_sums8 zero = {{vdupq_n_s32(0), vdupq_n_s32(0)}};
  return dot_sixteen(dot_sixteen(zero, q, values), q + FT_BLOCK_VECTORS, values + 16);
}

/// sum + scale * products, a scale for each row.
FT_INLINE ft_sums8 add_scaled(ft_sums8 sum, ft_sums8 products, int16x8_t scales) {
  sum.half[0] = vmlaq_s32(sum.half[0], products.half[0], vmovl_s16(vget_low_s16(scales)));
  sum.half[1] = vmlaq_s32(sum.half[1], products.half[1], vmovl_s16(vget_high_s16(scales)));
  return sum;
}

/// Stores the first `valid` of 8 outputs.
FT_INLINE void store_rows(float *out, ft_float8 values, int32_t valid) {
  if (valid == FT_GROUP_ROWS) {
    vst1q_f32(out, values.half[0]);
    vst1q_f32(out + 4, values.half[1]);
    return;
  }
  memcpy(out, &values, (size_t)valid * sizeof(float));
}

#endif
