#include <string.h>

#include "ft_blocks.h"
#include "ft_matmul.h"

#pragma STDC FP_CONTRACT OFF

// The reference of every integer layout: plain loops over int16 that the compiler can turn into
// whatever vectors the machine has. All other variants give the same bits: integer sums are exact,
// and the few float operations per block are those of ft_matrix_format.h in the same order.

#define HALVES (2 * FT_SUPER_BLOCKS)  // runs of 16 columns in a super-block

/// The scales of a super-block in one shape for all headers.
typedef struct super_scales {
  float scale[FT_GROUP_ROWS];
  float offset_scale[FT_GROUP_ROWS];
  int16_t integers[HALVES][FT_GROUP_ROWS];            // s per 16 columns
  int16_t offsets[FT_SUPER_BLOCKS][FT_GROUP_ROWS];    // m
  float block_scale[FT_SUPER_BLOCKS][FT_GROUP_ROWS];  // FLOATS only
} super_scales;

static int16_t plane12(const uint8_t *plane, int32_t blocks, int32_t block, int row) {
  const int top = (int8_t)plane[block * FT_GROUP_ROWS + row];
  const uint8_t pair = plane[blocks * FT_GROUP_ROWS + block * FT_GROUP_ROWS / 2 + row % 4];
  return (int16_t)(top * 16 + (row < 4 ? pair & 15 : pair >> 4));
}

static void set_scale(super_scales *scales, int32_t block, int row, int16_t value) {
  scales->integers[2 * block][row] = value;
  scales->integers[2 * block + 1][row] = value;
}

static void load_halves(const uint8_t *source, float floats[FT_GROUP_ROWS], float sign) {
  for (int row = 0; row < FT_GROUP_ROWS; row++) {
    ft_half half;
    memcpy(&half, source + 2 * row, sizeof half);
    floats[row] = sign * ft_half_to_float(half);
  }
}

static void load_k(const uint8_t *header, super_scales *scales) {
  load_halves(header, scales->scale, 1);
  load_halves(header + 16, scales->offset_scale, -1);
  const uint8_t *nibbles = header + 32;
  const uint8_t *top = nibbles + FT_SUPER_BLOCKS * FT_GROUP_ROWS;
  for (int block = 0; block < FT_SUPER_BLOCKS; block++) {
    for (int row = 0; row < FT_GROUP_ROWS; row++) {
      const int entry = block * FT_GROUP_ROWS + row;
      const int bits = top[entry % 32] >> (entry < 32 ? 0 : 4);
      set_scale(scales, block, row, (int16_t)((nibbles[entry] & 15) | (bits & 3) << 4));
      scales->offsets[block][row] = (int16_t)(nibbles[entry] >> 4 | (bits >> 2 & 3) << 4);
    }
  }
}

static void load_scaled(const uint8_t *header, int32_t blocks, super_scales *scales) {
  memcpy(scales->scale, header, sizeof scales->scale);
  for (int32_t block = 0; block < blocks; block++) {
    for (int row = 0; row < FT_GROUP_ROWS; row++) {
      set_scale(scales, block, row, plane12(header + 32, blocks, block, row));
    }
  }
}

static void load_affine(const uint8_t *header, int32_t blocks, super_scales *scales) {
  memcpy(scales->scale, header, sizeof scales->scale);
  memcpy(scales->offset_scale, header + 32, sizeof scales->offset_scale);
  const uint8_t *offsets = header + 64 + blocks * FT_SCALE12_BYTES;
  for (int32_t block = 0; block < blocks; block++) {
    for (int row = 0; row < FT_GROUP_ROWS; row++) {
      set_scale(scales, block, row, plane12(header + 64, blocks, block, row));
      scales->offsets[block][row] = plane12(offsets, blocks, block, row);
    }
  }
}

static void load_sixteen(const uint8_t *header, super_scales *scales) {
  memcpy(scales->scale, header, sizeof scales->scale);
  for (int part = 0; part < HALVES; part++) {
    for (int row = 0; row < FT_GROUP_ROWS; row++) {
      scales->integers[part][row] = (int8_t)header[32 + part * FT_GROUP_ROWS + row];
    }
  }
}

static void load_scales(const ft_format *format, const uint8_t *header, int32_t blocks,
                        super_scales *scales) {
  memset(scales->offset_scale, 0, sizeof scales->offset_scale);
  memset(scales->offsets, 0, sizeof scales->offsets);
  switch (format->header) {
    case FT_HEADER_K: load_k(header, scales); return;
    case FT_HEADER_SCALED: load_scaled(header, blocks, scales); return;
    case FT_HEADER_AFFINE: load_affine(header, blocks, scales); return;
    case FT_HEADER_SIXTEEN: load_sixteen(header, scales); return;
    case FT_HEADER_FLOATS:
      for (int32_t block = 0; block < blocks; block++) {
        load_halves(header + 16 * block, scales->block_scale[block], 1);
      }
      return;
    case FT_HEADER_NONE: return;
  }
}

/// A block as the [row][column] integers that its quants stand for.
static void unpack_block(ft_layout layout, int32_t zero, const uint8_t *block,
                         int16_t out[FT_GROUP_ROWS][FT_BLOCK_COLUMNS]) {
  for (int vector = 0; vector < FT_BLOCK_VECTORS; vector++) {
    for (int byte = 0; byte < FT_VECTOR_BYTES; byte++) {
      int value;
      if (layout == FT_LAYOUT_INT8) {
        value = (int8_t)block[vector * FT_VECTOR_BYTES + byte];
      } else {
        const int shift = vector < 4 ? 0 : 4;
        value = block[vector % 4 * FT_VECTOR_BYTES + byte] >> shift & 15;
      }
      if (layout == FT_LAYOUT_INT5) {
        value |= (block[4 * FT_VECTOR_BYTES + byte] >> vector & 1) << 4;
      } else if (layout == FT_LAYOUT_INT6) {
        const uint8_t top = block[(4 + vector / 4) * FT_VECTOR_BYTES + byte];
        value |= (top >> 2 * (vector % 4) & 3) << 4;
      }
      out[byte / 4][4 * vector + byte % 4] = (int16_t)(value - zero);
    }
  }
}

static int32_t dot16(const int16_t *weights, const int16_t *values) {
  int32_t sum = 0;
  for (int i = 0; i < 16; i++) sum += weights[i] * values[i];
  return sum;
}

/// Running sums of a tile, [tile row][output row].
typedef struct tile_sums {
  float products[FT_TILE_ROWS][FT_GROUP_ROWS];
  float offsets[FT_TILE_ROWS][FT_GROUP_ROWS];
  float super_products[FT_TILE_ROWS][FT_GROUP_ROWS];
  float super_offsets[FT_TILE_ROWS][FT_GROUP_ROWS];
} tile_sums;

/// Adds one block; `entry` is its place in the planes of the first activation row.
static void add_block(const ft_tile *tile, size_t entry, const super_scales *scales, bool floats,
                      int32_t block, int16_t weights[FT_GROUP_ROWS][FT_BLOCK_COLUMNS],
                      tile_sums *sums) {
  for (int32_t x = 0; x < tile->rows; x++, entry++) {
    const int8_t *values = tile->values + entry * FT_BLOCK_COLUMNS;
    int16_t wide[FT_BLOCK_COLUMNS];
    for (int i = 0; i < FT_BLOCK_COLUMNS; i++) wide[i] = values[i];
    for (int row = 0; row < FT_GROUP_ROWS; row++) {
      const int32_t first = dot16(weights[row], wide);
      const int32_t second = dot16(weights[row] + 16, wide + 16);
      if (floats) {
        const float factor = scales->block_scale[block][row] * tile->scales[entry];
        sums->products[x][row] = sums->products[x][row] + factor * (float)(first + second);
        continue;
      }
      const int32_t scaled = scales->integers[2 * block][row] * first +
                             scales->integers[2 * block + 1][row] * second;
      const float offset = (float)scales->offsets[block][row] * tile->offsets[entry];
      sums->super_products[x][row] =
          sums->super_products[x][row] + tile->scales[entry] * (float)scaled;
      sums->super_offsets[x][row] = sums->super_offsets[x][row] + offset;
    }
  }
}

static void add_super(int32_t rows, const super_scales *scales, tile_sums *sums) {
  for (int32_t x = 0; x < rows; x++) {
    for (int row = 0; row < FT_GROUP_ROWS; row++) {
      const float product = scales->scale[row] * sums->super_products[x][row];
      const float offset = scales->offset_scale[row] * sums->super_offsets[x][row];
      sums->products[x][row] = sums->products[x][row] + product;
      sums->offsets[x][row] = sums->offsets[x][row] + offset;
    }
  }
}

void ft_matmul_group_portable(const ft_matrix *matrix, const ft_format *format,
                              const ft_group_target *target, const ft_tile *tile,
                              size_t out_stride) {
  const uint8_t *next = target->weights;
  const bool floats = format->header == FT_HEADER_FLOATS;
  tile_sums sums;
  memset(&sums, 0, sizeof sums);
  size_t entry = 0;
  const int32_t supers = format->full_supers + (format->tail_blocks > 0);
  for (int32_t super = 0; super < supers; super++) {
    const int32_t blocks = super < format->full_supers ? FT_SUPER_BLOCKS : format->tail_blocks;
    super_scales scales;
    load_scales(format, next, blocks, &scales);
    next += ft_header_bytes(format->header, blocks);
    memset(sums.super_products, 0, sizeof sums.super_products);
    memset(sums.super_offsets, 0, sizeof sums.super_offsets);
    for (int32_t block = 0; block < blocks; block++, entry += (size_t)tile->stride) {
      int16_t weights[FT_GROUP_ROWS][FT_BLOCK_COLUMNS];
      unpack_block(matrix->layout, format->zero, next, weights);
      add_block(tile, entry, &scales, floats, block, weights, &sums);
      next += format->block_bytes;
    }
    if (!floats) add_super(tile->rows, &scales, &sums);
  }
  for (int32_t x = 0; x < tile->rows; x++) {
    for (int32_t row = 0; row < target->valid; row++) {
      target->out[(size_t)x * out_stride + (size_t)row] =
          sums.products[x][row] + sums.offsets[x][row];
    }
  }
}
