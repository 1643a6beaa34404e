#include "ft_isa.h"

#if FT_HAS_NEON
#include <arm_neon.h>
#include <string.h>

#include "ft_matmul.h"

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("arch=armv8.2-a+dotprod"))), apply_to = function)

// A 32-byte vector of a block is two registers, rows 0-3 and rows 4-7, and four columns of a row are
// one 32-bit lane: the operands of `sdot` as they lie. Its second operand is four activations, picked
// by lane from the register that holds 16 of them, so nothing is broadcast and no 16-bit step exists.
// A block is unpacked once into sixteen registers of signed bytes, the zero taken off, then every
// activation row of the tile meets it. The float operations are those of ft_matrix_format.h.

#define FT_INLINE static inline __attribute__((always_inline))

#define BLOCK_REGISTERS (2 * FT_BLOCK_VECTORS)  // register 2 t + h: rows 4 h to 4 h + 3 of vector t
#define PREFETCH_BYTES 1024
#define CACHE_LINE 64

/// Eight numbers, one for each row of a group.
typedef struct row_floats {
  float32x4_t half[2];
} row_floats;
typedef struct row_integers {
  int32x4_t half[2];
} row_integers;

/// The scales of a super-block.
typedef struct super_scales {
  row_floats scales[FT_SUPER_BLOCKS];   // scale * s; SIXTEEN: the scale alone
  row_floats offsets[FT_SUPER_BLOCKS];  // offset scale * m; K and AFFINE only
  const int8_t *integers;               // SIXTEEN: s, [16 columns][row]
} super_scales;

// MARK: Scales

FT_INLINE row_floats load_floats(const uint8_t *source) {
  const float *floats = (const float *)source;
  return (row_floats){{vld1q_f32(floats), vld1q_f32(floats + 4)}};
}

FT_INLINE row_floats load_halves(const uint8_t *source) {
  const uint16x8_t bits = vreinterpretq_u16_u8(vld1q_u8(source));
  return (row_floats){{vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(bits))),
                       vcvt_f32_f16(vreinterpret_f16_u16(vget_high_u16(bits)))}};
}

FT_INLINE row_floats scaled(row_floats scale, int16x8_t integers) {
  return (row_floats){
      {vmulq_f32(scale.half[0], vcvtq_f32_s32(vmovl_s16(vget_low_s16(integers)))),
       vmulq_f32(scale.half[1], vcvtq_f32_s32(vmovl_s16(vget_high_s16(integers))))}};
}

/// One block's numbers of a plane of 12-bit numbers.
FT_INLINE int16x8_t load_twelve(const uint8_t *plane, int32_t blocks, int32_t block) {
  const int8x8_t tops = vld1_s8((const int8_t *)plane + block * FT_GROUP_ROWS);
  uint32_t pairs;
  memcpy(&pairs, plane + blocks * FT_GROUP_ROWS + block * FT_GROUP_ROWS / 2, sizeof pairs);
  const uint64_t nibbles =
      (pairs & 0x0F0F0F0Fu) | (uint64_t)(pairs >> 4 & 0x0F0F0F0Fu) << 32;
  const int16x8_t low = vreinterpretq_s16_u16(vmovl_u8(vcreate_u8(nibbles)));
  return vorrq_s16(vshll_n_s8(tops, 4), low);
}

FT_INLINE void load_plane(const uint8_t *floats, const uint8_t *plane, int32_t blocks,
                          row_floats out[FT_SUPER_BLOCKS]) {
  const row_floats scale = load_floats(floats);
  for (int32_t block = 0; block < blocks; block++) {
    out[block] = scaled(scale, load_twelve(plane, blocks, block));
  }
}

FT_INLINE void load_k(const uint8_t *header, super_scales *super) {
  const row_floats scale = load_halves(header), minimum = load_halves(header + 16);
  const row_floats offset = {{vnegq_f32(minimum.half[0]), vnegq_f32(minimum.half[1])}};
  const uint8_t *nibbles = header + 32;
  const uint8_t *tops = nibbles + FT_SUPER_BLOCKS * FT_GROUP_ROWS;
  for (int block = 0; block < FT_SUPER_BLOCKS; block++) {
    const uint8x8_t low = vld1_u8(nibbles + block * FT_GROUP_ROWS);
    uint8x8_t top = vld1_u8(tops + block % 4 * FT_GROUP_ROWS);
    if (block >= 4) top = vshr_n_u8(top, 4);
    const uint8x8_t s =
        vorr_u8(vand_u8(low, vdup_n_u8(15)), vshl_n_u8(vand_u8(top, vdup_n_u8(3)), 4));
    const uint8x8_t m = vorr_u8(vshr_n_u8(low, 4), vshl_n_u8(vand_u8(top, vdup_n_u8(12)), 2));
    super->scales[block] = scaled(scale, vreinterpretq_s16_u16(vmovl_u8(s)));
    super->offsets[block] = scaled(offset, vreinterpretq_s16_u16(vmovl_u8(m)));
  }
}

FT_INLINE void load_scales(const ft_format *format, const uint8_t *header, int32_t blocks,
                           super_scales *super) {
  switch (format->header) {
    case FT_HEADER_K: load_k(header, super); return;
    case FT_HEADER_SCALED: load_plane(header, header + 32, blocks, super->scales); return;
    case FT_HEADER_AFFINE:
      load_plane(header, header + 64, blocks, super->scales);
      load_plane(header + 32, header + 64 + blocks * FT_SCALE12_BYTES, blocks, super->offsets);
      return;
    case FT_HEADER_SIXTEEN:
      for (int block = 0; block < FT_SUPER_BLOCKS; block++) {
        super->scales[block] = load_floats(header);
      }
      super->integers = (const int8_t *)header + 32;
      return;
    case FT_HEADER_FLOATS:
      for (int32_t block = 0; block < blocks; block++) {
        super->scales[block] = load_halves(header + 16 * block);
      }
      return;
    case FT_HEADER_NONE: return;
  }
}

// MARK: Weights

/// Low nibbles of the four vectors of a block as vectors 0-3, high ones as 4-7.
FT_INLINE void unpack_nibbles(const uint8_t *block, uint8x16_t q[BLOCK_REGISTERS]) {
  for (int i = 0; i < FT_BLOCK_VECTORS; i++) {
    const uint8x16_t bytes = vld1q_u8(block + 16 * i);
    q[i] = vandq_u8(bytes, vdupq_n_u8(15));
    q[i + FT_BLOCK_VECTORS] = vshrq_n_u8(bytes, 4);
  }
}

FT_INLINE void add_fifth_bits(const uint8_t *plane, uint8x16_t q[BLOCK_REGISTERS]) {
  for (int half = 0; half < 2; half++) {
    const uint8x16_t fifth = vld1q_u8(plane + 16 * half);
    for (int vector = 0; vector < FT_BLOCK_VECTORS; vector++) {
      const uint8x16_t bit = vshlq_u8(fifth, vdupq_n_s8((int8_t)(4 - vector)));
      uint8x16_t *own = &q[2 * vector + half];
      *own = vorrq_u8(*own, vandq_u8(bit, vdupq_n_u8(16)));
    }
  }
}

FT_INLINE void add_top_pairs(const uint8_t *planes, uint8x16_t q[BLOCK_REGISTERS]) {
  for (int part = 0; part < 4; part++) {  // [4 vectors][half]
    const uint8x16_t top = vld1q_u8(planes + 16 * part);
    for (int i = 0; i < 4; i++) {
      const uint8x16_t pair = vshlq_u8(top, vdupq_n_s8((int8_t)(4 - 2 * i)));
      uint8x16_t *own = &q[2 * (4 * (part / 2) + i) + part % 2];
      *own = vorrq_u8(*own, vandq_u8(pair, vdupq_n_u8(0x30)));
    }
  }
}

/// The signed integers that the quants of a block stand for.
FT_INLINE void unpack(ft_layout layout, int32_t zero, const uint8_t *block,
                      int8x16_t w[BLOCK_REGISTERS]) {
  if (layout == FT_LAYOUT_INT8) {
    for (int i = 0; i < BLOCK_REGISTERS; i++) w[i] = vld1q_s8((const int8_t *)block + 16 * i);
    return;
  }
  uint8x16_t q[BLOCK_REGISTERS];
  unpack_nibbles(block, q);
  if (layout == FT_LAYOUT_INT5) add_fifth_bits(block + 4 * FT_VECTOR_BYTES, q);
  if (layout == FT_LAYOUT_INT6) add_top_pairs(block + 4 * FT_VECTOR_BYTES, q);
  for (int i = 0; i < BLOCK_REGISTERS; i++) {
    w[i] = vsubq_s8(vreinterpretq_s8_u8(q[i]), vdupq_n_s8((int8_t)zero));
  }
}

// MARK: Products

/// Dot products of 16 columns and one activation row; `w` are the registers of four vectors.
FT_INLINE row_integers dot_sixteen(row_integers sum, const int8x16_t *w, const int8_t *values) {
  const int8x16_t a = vld1q_s8(values);
#define STEP(part, t) sum.half[part] = vdotq_laneq_s32(sum.half[part], w[2 * t + part], a, t);
  STEP(0, 0) STEP(1, 0) STEP(0, 1) STEP(1, 1) STEP(0, 2) STEP(1, 2) STEP(0, 3) STEP(1, 3)
#undef STEP
  return sum;
}

FT_INLINE row_integers times(row_integers dot, const int8_t *integers) {
  const int16x8_t s = vmovl_s8(vld1_s8(integers));
  return (row_integers){{vmulq_s32(dot.half[0], vmovl_s16(vget_low_s16(s))),
                         vmulq_s32(dot.half[1], vmovl_s16(vget_high_s16(s)))}};
}

/// The exact product of a block; `integers` are the 16-column scales of INT6.
FT_INLINE row_integers dot_block(ft_layout layout, const int8x16_t w[BLOCK_REGISTERS],
                                 const int8_t *values, const int8_t *integers) {
  const row_integers zero = {{vdupq_n_s32(0), vdupq_n_s32(0)}};
  const row_integers first = dot_sixteen(zero, w, values);
  if (layout != FT_LAYOUT_INT6) return dot_sixteen(first, w + FT_BLOCK_VECTORS, values + 16);
  const row_integers second = dot_sixteen(zero, w + FT_BLOCK_VECTORS, values + 16);
  const row_integers low = times(first, integers);
  const row_integers high = times(second, integers + FT_GROUP_ROWS);
  return (row_integers){
      {vaddq_s32(low.half[0], high.half[0]), vaddq_s32(low.half[1], high.half[1])}};
}

/// Running sums of one activation row.
typedef struct row_sums {
  row_floats products, offsets;
} row_sums;

FT_INLINE void add_product(row_floats *sum, row_floats scale, float activation_scale,
                           row_integers dot) {
  for (int half = 0; half < 2; half++) {
    const float32x4_t factor = vmulq_n_f32(scale.half[half], activation_scale);
    const float32x4_t product = vmulq_f32(factor, vcvtq_f32_s32(dot.half[half]));
    sum->half[half] = vaddq_f32(sum->half[half], product);
  }
}

FT_INLINE void add_offset(row_floats *sum, row_floats offset, float activation_offset) {
  for (int half = 0; half < 2; half++) {
    sum->half[half] =
        vaddq_f32(sum->half[half], vmulq_n_f32(offset.half[half], activation_offset));
  }
}

/// Stores the first `valid` of 8 outputs.
FT_INLINE void store_rows(float *out, const row_sums *sums, int32_t valid) {
  const float32x4_t low = vaddq_f32(sums->products.half[0], sums->offsets.half[0]);
  const float32x4_t high = vaddq_f32(sums->products.half[1], sums->offsets.half[1]);
  if (valid == FT_GROUP_ROWS) {
    vst1q_f32(out, low);
    vst1q_f32(out + 4, high);
    return;
  }
  const float32x4_t both[2] = {low, high};
  memcpy(out, both, (size_t)valid * sizeof(float));
}

FT_INLINE void multiply(ft_layout layout, const ft_format *format, const ft_group_target *target,
                        const ft_tile *tile, size_t out_stride) {
  const bool has_offsets =
      format->header == FT_HEADER_K || format->header == FT_HEADER_AFFINE;
  const uint8_t *next = target->weights;
  row_sums sums[FT_TILE_ROWS];
  memset(sums, 0, (size_t)tile->rows * sizeof sums[0]);
  size_t entry = 0;
  const int32_t supers = format->full_supers + (format->tail_blocks > 0);
  for (int32_t index = 0; index < supers; index++) {
    const int32_t blocks = index < format->full_supers ? FT_SUPER_BLOCKS : format->tail_blocks;
    super_scales super;
    load_scales(format, next, blocks, &super);
    next += ft_header_bytes(format->header, blocks);
    for (int32_t block = 0; block < blocks; block++, entry += (size_t)tile->stride) {
      int8x16_t w[BLOCK_REGISTERS];
      for (int32_t i = 0; i < format->block_bytes; i += CACHE_LINE) {
        __builtin_prefetch(next + PREFETCH_BYTES + i);
      }
      unpack(layout, format->zero, next, w);
      const int8_t *integers =
          layout == FT_LAYOUT_INT6 ? super.integers + 2 * block * FT_GROUP_ROWS : NULL;
      for (int32_t row = 0; row < tile->rows; row++) {
        const size_t own = entry + (size_t)row;
        const row_integers dot =
            dot_block(layout, w, tile->values + own * FT_BLOCK_COLUMNS, integers);
        add_product(&sums[row].products, super.scales[block], tile->scales[own], dot);
        if (has_offsets) {
          add_offset(&sums[row].offsets, super.offsets[block], tile->offsets[own]);
        }
      }
      next += format->block_bytes;
    }
  }
  for (int32_t row = 0; row < tile->rows; row++) {
    store_rows(target->out + (size_t)row * out_stride, &sums[row], target->valid);
  }
}

#define DEFINE_KERNEL(name, layout)                                                               \
  void name(const ft_matrix *matrix, const ft_format *format, const ft_group_target *target,      \
            const ft_tile *tile, size_t out_stride) {                                             \
    (void)matrix;                                                                                 \
    multiply(layout, format, target, tile, out_stride);                                           \
  }
DEFINE_KERNEL(ft_matmul_group_neon_int4, FT_LAYOUT_INT4)
DEFINE_KERNEL(ft_matmul_group_neon_int5, FT_LAYOUT_INT5)
DEFINE_KERNEL(ft_matmul_group_neon_int6, FT_LAYOUT_INT6)
DEFINE_KERNEL(ft_matmul_group_neon_int8, FT_LAYOUT_INT8)

#pragma clang attribute pop
#endif
