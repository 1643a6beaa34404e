#include <string.h>

#include "ft_blocks.h"
#include "ft_matmul.h"

#pragma STDC FP_CONTRACT OFF

// The reference of every integer layout: plain loops over int16 that the compiler can turn into
// whatever vectors the machine has. All other variants give the same bits, because integer sums
// are exact and the few float operations per activation group come in the same order.

#define HALVES (2 * FT_SUPER_BLOCKS)  // runs of 16 columns in a super-block

/// The scales of a super-block in one shape for all headers.
typedef struct super_scales {
  float scale[FT_GROUP_ROWS];
  float offset[FT_GROUP_ROWS];
  int16_t scales[HALVES][FT_GROUP_ROWS];            // per 16 columns
  int16_t offsets[FT_SUPER_BLOCKS][FT_GROUP_ROWS];  // per 32 columns
  float block_scale[FT_SUPER_BLOCKS][FT_GROUP_ROWS];  // FLOATS only
} super_scales;

static int16_t plane12(const uint8_t *plane, int32_t blocks, int32_t block, int row) {
  const int top = (int8_t)plane[block * FT_GROUP_ROWS + row];
  const uint8_t pair = plane[blocks * FT_GROUP_ROWS + block * FT_GROUP_ROWS / 2 + row % 4];
  return (int16_t)(top * 16 + (row < 4 ? pair & 15 : pair >> 4));
}

static void set_scale(super_scales *scales, int32_t block, int row, int16_t value) {
  scales->scales[2 * block][row] = value;
  scales->scales[2 * block + 1][row] = value;
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
  load_halves(header + 16, scales->offset, -1);
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

static void load_scaled(const ft_format *format, const uint8_t *header, int32_t blocks,
                        super_scales *scales) {
  memcpy(scales->scale, header, sizeof scales->scale);
  for (int row = 0; row < FT_GROUP_ROWS; row++) {
    scales->offset[row] = scales->scale[row] * (float)-format->zero;
    for (int32_t block = 0; block < blocks; block++) {
      const int16_t value = plane12(header + 32, blocks, block, row);
      set_scale(scales, block, row, value);
      scales->offsets[block][row] = value;
    }
  }
}

static void load_affine(const uint8_t *header, int32_t blocks, super_scales *scales) {
  memcpy(scales->scale, header, sizeof scales->scale);
  memcpy(scales->offset, header + 32, sizeof scales->offset);
  const uint8_t *offsets = header + 64 + blocks * FT_SCALE12_BYTES;
  for (int row = 0; row < FT_GROUP_ROWS; row++) {
    for (int32_t block = 0; block < blocks; block++) {
      set_scale(scales, block, row, plane12(header + 64, blocks, block, row));
      scales->offsets[block][row] = plane12(offsets, blocks, block, row);
    }
  }
}

static void load_sixteen(const uint8_t *header, super_scales *scales) {
  memcpy(scales->scale, header, sizeof scales->scale);
  for (int part = 0; part < HALVES; part++) {
    for (int row = 0; row < FT_GROUP_ROWS; row++) {
      scales->scales[part][row] = (int8_t)header[32 + part * FT_GROUP_ROWS + row];
    }
  }
}

static void load_scales(const ft_format *format, const uint8_t *header, int32_t blocks,
                        super_scales *scales) {
  memset(scales->offsets, 0, sizeof scales->offsets);
  switch (format->header) {
    case FT_HEADER_K: load_k(header, scales); return;
    case FT_HEADER_SCALED: load_scaled(format, header, blocks, scales); return;
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

/// A block as [row][column] integers. INT6 comes with its zero taken off.
static void unpack_block(ft_layout layout, const uint8_t *block,
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
        value = (value | (top >> 2 * (vector % 4) & 3) << 4) - FT_INT6_ZERO;
      }
      out[byte / 4][4 * vector + byte % 4] = (int16_t)value;
    }
  }
}

static int32_t dot16(const int16_t *weights, const int16_t *values) {
  int32_t sum = 0;
  for (int i = 0; i < 16; i++) sum += weights[i] * values[i];
  return sum;
}

/// Running sums of one activation group, [tile row][output row].
typedef struct group_sums {
  int32_t products[FT_TILE_ROWS][FT_GROUP_ROWS];
  float floats[FT_TILE_ROWS][FT_GROUP_ROWS];  // FLOATS only
} group_sums;

static void add_block(const ft_tile *tile, const int8_t *values, const super_scales *scales,
                      int32_t block, bool floats, int16_t weights[FT_GROUP_ROWS][FT_BLOCK_COLUMNS],
                      group_sums *sums) {
  for (int32_t x = 0; x < tile->rows; x++) {
    int16_t wide[FT_BLOCK_COLUMNS];
    for (int i = 0; i < FT_BLOCK_COLUMNS; i++) wide[i] = values[x * FT_BLOCK_COLUMNS + i];
    for (int row = 0; row < FT_GROUP_ROWS; row++) {
      const int32_t first = dot16(weights[row], wide);
      const int32_t second = dot16(weights[row] + 16, wide + 16);
      if (floats) {
        sums->floats[x][row] += scales->block_scale[block][row] * (float)(first + second);
      } else {
        sums->products[x][row] += scales->scales[2 * block][row] * first +
                                  scales->scales[2 * block + 1][row] * second;
      }
    }
  }
}

/// Adds one activation group to the outputs. The order of these operations is the contract between
/// all variants.
static void flush_group(const ft_format *format, const ft_tile *tile, size_t group,
                        const super_scales *scales, int32_t first_block, const group_sums *sums,
                        float totals[FT_TILE_ROWS][FT_GROUP_ROWS]) {
  for (int32_t x = 0; x < tile->rows; x++) {
    const size_t entry = group * (size_t)tile->stride + (size_t)x;
    const int16_t *column_sums = tile->sums + entry * FT_GROUP_SUMS;
    for (int row = 0; row < FT_GROUP_ROWS; row++) {
      float value = sums->floats[x][row];
      if (format->header != FT_HEADER_FLOATS) {
        value = scales->scale[row] * (float)sums->products[x][row];
      }
      if (format->header != FT_HEADER_FLOATS && format->header != FT_HEADER_SIXTEEN) {
        int32_t offset = 0;
        for (int block = 0; block < FT_GROUP_BLOCKS; block++) {
          offset += scales->offsets[first_block + block][row] * column_sums[block];
        }
        value = value + scales->offset[row] * (float)offset;
      }
      totals[x][row] = totals[x][row] + value * tile->scales[entry];
    }
  }
}

void ft_matmul_group_portable(const ft_matrix *matrix, const ft_format *format, int32_t group,
                              const ft_tile *tile, float *out, size_t out_stride,
                              int32_t valid_rows) {
  const uint8_t *next = (const uint8_t *)matrix->data + (size_t)group * format->group_bytes;
  float totals[FT_TILE_ROWS][FT_GROUP_ROWS] = {{0}};
  const size_t block_values = (size_t)tile->stride * FT_BLOCK_COLUMNS;
  const int8_t *values = tile->values;
  size_t activation_group = 0;
  const int32_t supers = format->full_supers + (format->tail_blocks > 0);
  for (int32_t super = 0; super < supers; super++) {
    const int32_t blocks = super < format->full_supers ? FT_SUPER_BLOCKS : format->tail_blocks;
    super_scales scales;
    load_scales(format, next, blocks, &scales);
    next += ft_header_bytes(format->header, blocks);
    for (int32_t first = 0; first < blocks; first += FT_GROUP_BLOCKS) {
      group_sums sums;
      memset(&sums, 0, sizeof sums);
      for (int32_t block = first; block < first + FT_GROUP_BLOCKS && block < blocks; block++) {
        int16_t weights[FT_GROUP_ROWS][FT_BLOCK_COLUMNS];
        unpack_block(matrix->layout, next, weights);
        add_block(tile, values, &scales, block, format->header == FT_HEADER_FLOATS, weights,
                  &sums);
        next += format->block_bytes;
        values += block_values;
      }
      flush_group(format, tile, activation_group, &scales, first, &sums, totals);
      activation_group++;
    }
  }
  for (int32_t x = 0; x < tile->rows; x++) {
    memcpy(out + (size_t)x * out_stride, totals[x], (size_t)valid_rows * sizeof(float));
  }
}
