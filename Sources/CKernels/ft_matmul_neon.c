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
  row_floats scale;
  row_floats offset_scale;                   // K and AFFINE only
  int16x8_t integers[FT_SUPER_BLOCKS];       // s of 32 columns; not of SIXTEEN and FLOATS
  int16x8_t offsets[FT_SUPER_BLOCKS];        // m; K and AFFINE only
  row_floats block_scales[FT_SUPER_BLOCKS];  // FLOATS only
  const int8_t *sixteens;                    // SIXTEEN: s, [16 columns][row]
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

/// A plane of 12-bit numbers.
FT_INLINE void load_twelves(const uint8_t *plane, int32_t blocks,
                            int16x8_t out[FT_SUPER_BLOCKS]) {
  for (int32_t block = 0; block < blocks; block++) {
    const int8x8_t tops = vld1_s8((const int8_t *)plane + block * FT_GROUP_ROWS);
    uint32_t pairs;
    memcpy(&pairs, plane + blocks * FT_GROUP_ROWS + block * FT_GROUP_ROWS / 2, sizeof pairs);
    const uint64_t nibbles =
        (pairs & 0x0F0F0F0Fu) | (uint64_t)(pairs >> 4 & 0x0F0F0F0Fu) << 32;
    const int16x8_t low = vreinterpretq_s16_u16(vmovl_u8(vcreate_u8(nibbles)));
    out[block] = vorrq_s16(vshll_n_s8(tops, 4), low);
  }
}

FT_INLINE void load_k(const uint8_t *header, super_scales *super) {
  const row_floats minimum = load_halves(header + 16);
  super->scale = load_halves(header);
  super->offset_scale = (row_floats){{vnegq_f32(minimum.half[0]), vnegq_f32(minimum.half[1])}};
  const uint8_t *nibbles = header + 32;
  const uint8_t *tops = nibbles + FT_SUPER_BLOCKS * FT_GROUP_ROWS;
  for (int block = 0; block < FT_SUPER_BLOCKS; block++) {
    const uint8x8_t low = vld1_u8(nibbles + block * FT_GROUP_ROWS);
    uint8x8_t top = vld1_u8(tops + block % 4 * FT_GROUP_ROWS);
    if (block >= 4) top = vshr_n_u8(top, 4);
    const uint8x8_t s =
        vorr_u8(vand_u8(low, vdup_n_u8(15)), vshl_n_u8(vand_u8(top, vdup_n_u8(3)), 4));
    const uint8x8_t m = vorr_u8(vshr_n_u8(low, 4), vshl_n_u8(vand_u8(top, vdup_n_u8(12)), 2));
    super->integers[block] = vreinterpretq_s16_u16(vmovl_u8(s));
    super->offsets[block] = vreinterpretq_s16_u16(vmovl_u8(m));
  }
}

FT_INLINE void load_scales(const ft_format *format, const uint8_t *header, int32_t blocks,
                           super_scales *super) {
  switch (format->header) {
    case FT_HEADER_K: load_k(header, super); return;
    case FT_HEADER_SCALED:
      super->scale = load_floats(header);
      load_twelves(header + 32, blocks, super->integers);
      return;
    case FT_HEADER_AFFINE:
      super->scale = load_floats(header);
      super->offset_scale = load_floats(header + 32);
      load_twelves(header + 64, blocks, super->integers);
      load_twelves(header + 64 + blocks * FT_SCALE12_BYTES, blocks, super->offsets);
      return;
    case FT_HEADER_SIXTEEN:
      super->scale = load_floats(header);
      super->sixteens = (const int8_t *)header + 32;
      return;
    case FT_HEADER_FLOATS:
      for (int32_t block = 0; block < blocks; block++) {
        super->block_scales[block] = load_halves(header + 16 * block);
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

FT_INLINE row_integers times(row_integers dot, int16x8_t integers) {
  return (row_integers){{vmulq_s32(dot.half[0], vmovl_s16(vget_low_s16(integers))),
                         vmulq_s32(dot.half[1], vmovl_s16(vget_high_s16(integers)))}};
}

/// The exact product of block `block` and one activation row, its integer scales included.
FT_INLINE row_integers dot_block(ft_layout layout, const int8x16_t w[BLOCK_REGISTERS],
                                 const super_scales *super, int32_t block, const int8_t *values) {
  const row_integers zero = {{vdupq_n_s32(0), vdupq_n_s32(0)}};
  const row_integers first = dot_sixteen(zero, w, values);
  if (layout != FT_LAYOUT_INT6) {
    const row_integers both = dot_sixteen(first, w + FT_BLOCK_VECTORS, values + 16);
    return layout == FT_LAYOUT_INT8 ? both : times(both, super->integers[block]);
  }
  const int8_t *sixteens = super->sixteens + 2 * block * FT_GROUP_ROWS;
  const row_integers second = dot_sixteen(zero, w + FT_BLOCK_VECTORS, values + 16);
  const row_integers low = times(first, vmovl_s8(vld1_s8(sixteens)));
  const row_integers high = times(second, vmovl_s8(vld1_s8(sixteens + FT_GROUP_ROWS)));
  return (row_integers){
      {vaddq_s32(low.half[0], high.half[0]), vaddq_s32(low.half[1], high.half[1])}};
}

FT_INLINE row_floats floats_of(row_integers integers) {
  return (row_floats){{vcvtq_f32_s32(integers.half[0]), vcvtq_f32_s32(integers.half[1])}};
}

/// sum += a * b, rounded twice.
FT_INLINE void add_product(row_floats *sum, row_floats a, row_floats b) {
  for (int half = 0; half < 2; half++) {
    sum->half[half] = vaddq_f32(sum->half[half], vmulq_f32(a.half[half], b.half[half]));
  }
}

FT_INLINE row_floats scaled(row_floats values, float factor) {
  return (row_floats){
      {vmulq_n_f32(values.half[0], factor), vmulq_n_f32(values.half[1], factor)}};
}

FT_INLINE row_floats everywhere(float value) {
  return (row_floats){{vdupq_n_f32(value), vdupq_n_f32(value)}};
}

/// Running sums of one activation row.
typedef struct row_sums {
  row_floats products, offsets;
  row_floats super_products, super_offsets;  // of this super-block
} row_sums;

/// Stores the first `valid` of 8 outputs.
FT_INLINE void store_rows(float *out, const row_sums *sums, int32_t valid) {
  const float32x4_t both[2] = {vaddq_f32(sums->products.half[0], sums->offsets.half[0]),
                               vaddq_f32(sums->products.half[1], sums->offsets.half[1])};
  if (valid == FT_GROUP_ROWS) {
    vst1q_f32(out, both[0]);
    vst1q_f32(out + 4, both[1]);
    return;
  }
  memcpy(out, both, (size_t)valid * sizeof(float));
}

/// Adds one unpacked block to the sums of one activation row; `entry` is its place in the planes.
FT_INLINE void add_block(ft_layout layout, bool has_offsets, const int8x16_t w[BLOCK_REGISTERS],
                         const super_scales *super, int32_t block, const ft_tile *tile,
                         size_t entry, row_sums *sums) {
  const float scale = tile->scales[entry];
  const row_floats dot =
      floats_of(dot_block(layout, w, super, block, tile->values + entry * FT_BLOCK_COLUMNS));
  if (layout == FT_LAYOUT_INT8) {
    add_product(&sums->products, scaled(super->block_scales[block], scale), dot);
    return;
  }
  add_product(&sums->super_products, everywhere(scale), dot);
  if (!has_offsets) return;
  const row_integers m = {{vmovl_s16(vget_low_s16(super->offsets[block])),
                           vmovl_s16(vget_high_s16(super->offsets[block]))}};
  add_product(&sums->super_offsets, floats_of(m), everywhere(tile->offsets[entry]));
}

/// Adds the sums of a super-block to those of the row.
FT_INLINE void finish_super(bool has_offsets, const super_scales *super, row_sums *sums) {
  add_product(&sums->products, super->scale, sums->super_products);
  sums->super_products = everywhere(0);
  if (!has_offsets) return;
  add_product(&sums->offsets, super->offset_scale, sums->super_offsets);
  sums->super_offsets = everywhere(0);
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
      for (int32_t row = 0; row < tile->rows; row++) {
        add_block(layout, has_offsets, w, &super, block, tile, entry + (size_t)row, &sums[row]);
      }
      next += format->block_bytes;
    }
    if (layout == FT_LAYOUT_INT8) continue;
    for (int32_t row = 0; row < tile->rows; row++) finish_super(has_offsets, &super, &sums[row]);
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
