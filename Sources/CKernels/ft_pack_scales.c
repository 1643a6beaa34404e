#include "ft_pack.h"

#pragma STDC FP_CONTRACT OFF

/// `half` as float; infinities and NaN of a damaged file count as 0, for they have no integer.
static float finite_half(ft_half half) {
  return (half & 0x7C00) == 0x7C00 ? 0 : ft_half_to_float(half);
}

/// Nearest integer, ties to even, of a value of small magnitude: adding 1.5 x 2^23 leaves it in
/// the low bits of the mantissa.
static int32_t round_small(float value) {
  const float shifted = value + 0x1.8p23f;
  int32_t bits;
  memcpy(&bits, &shifted, sizeof bits);
  return bits - 0x4B400000;
}

/// Top bytes of `blocks` x 8 signed 12-bit numbers, then their low nibbles.
static void write_plane12(int16_t integers[FT_SUPER_BLOCKS][FT_GROUP_ROWS], int32_t blocks,
                          uint8_t *destination) {
  uint8_t *nibbles = destination + blocks * FT_GROUP_ROWS;
  for (int32_t block = 0; block < blocks; block++) {
    for (int row = 0; row < FT_GROUP_ROWS; row++) {
      destination[block * FT_GROUP_ROWS + row] = (uint8_t)(integers[block][row] >> 4 & 255);
    }
    for (int row = 0; row < FT_GROUP_ROWS / 2; row++) {
      nibbles[block * FT_GROUP_ROWS / 2 + row] =
          (uint8_t)((integers[block][row] & 15) | (integers[block][row + 4] & 15) << 4);
    }
  }
}

/// Writes one plane of 12-bit integers and, to `floats`, the float scale of each row above them.
static void pack_plane12(const ft_pack_row rows[FT_GROUP_ROWS], bool offsets, int32_t blocks,
                         uint8_t *floats, uint8_t *plane) {
  int16_t integers[FT_SUPER_BLOCKS][FT_GROUP_ROWS];
  float row_scales[FT_GROUP_ROWS];
  for (int row = 0; row < FT_GROUP_ROWS; row++) {
    const ft_half *halves = offsets ? rows[row].offsets : rows[row].scales;
    float values[FT_SUPER_BLOCKS];
    float largest = 0;
    for (int32_t block = 0; block < blocks; block++) {
      values[block] = finite_half(halves[block]);
      const float magnitude = values[block] < 0 ? -values[block] : values[block];
      largest = magnitude > largest ? magnitude : largest;
    }
    const float inverse = largest > 0 ? FT_SCALE12_MAX / largest : 0;
    for (int32_t block = 0; block < blocks; block++) {
      integers[block][row] = (int16_t)round_small(values[block] * inverse);
    }
    row_scales[row] = largest / FT_SCALE12_MAX;
  }
  memcpy(floats, row_scales, sizeof row_scales);
  write_plane12(integers, blocks, plane);
}

/// Float scales and offsets as in the file, 6-bit scales (s) and offsets (m): 64 bytes of low
/// nibbles (s low, m high, [block][row]), then 32 bytes of top bits: byte i serves entry i in its
/// bits 0-1 (s) and 2-3 (m), and entry i + 32 in bits 4-5 (s) and 6-7 (m).
static void pack_k_scales(const ft_pack_row rows[FT_GROUP_ROWS], uint8_t *destination) {
  uint8_t *nibbles = destination + 32;
  uint8_t *top = nibbles + FT_SUPER_BLOCKS * FT_GROUP_ROWS;
  uint8_t both[FT_SUPER_BLOCKS * FT_GROUP_ROWS];
  for (int row = 0; row < FT_GROUP_ROWS; row++) {
    memcpy(destination + 2 * row, &rows[row].scales[0], 2);
    memcpy(destination + 16 + 2 * row, &rows[row].offsets[0], 2);
    for (int block = 0; block < FT_SUPER_BLOCKS; block++) {
      const uint8_t scale = (uint8_t)rows[row].integer_scales[block];
      const uint8_t offset = rows[row].integer_offsets[block];
      const int entry = block * FT_GROUP_ROWS + row;
      nibbles[entry] = (uint8_t)((scale & 15) | (offset & 15) << 4);
      both[entry] = (uint8_t)(scale >> 4 | (offset >> 4) << 2);
    }
  }
  for (int entry = 0; entry < 32; entry++) {
    top[entry] = (uint8_t)(both[entry] | both[entry + 32] << 4);
  }
}

static void pack_sixteen_scales(const ft_pack_row rows[FT_GROUP_ROWS], uint8_t *destination) {
  float row_scales[FT_GROUP_ROWS];
  uint8_t *integers = destination + sizeof row_scales;
  for (int row = 0; row < FT_GROUP_ROWS; row++) {
    row_scales[row] = ft_half_to_float(rows[row].scales[0]);
    for (int part = 0; part < 2 * FT_SUPER_BLOCKS; part++) {
      integers[part * FT_GROUP_ROWS + row] = (uint8_t)rows[row].integer_scales[part];
    }
  }
  memcpy(destination, row_scales, sizeof row_scales);
}

static void pack_float_scales(const ft_pack_row rows[FT_GROUP_ROWS], int32_t blocks,
                              uint8_t *destination) {
  for (int32_t block = 0; block < blocks; block++) {
    for (int row = 0; row < FT_GROUP_ROWS; row++) {
      memcpy(destination + 2 * (block * FT_GROUP_ROWS + row), &rows[row].scales[block], 2);
    }
  }
}

void ft_pack_header(ft_header header, const ft_pack_row rows[FT_GROUP_ROWS], int32_t blocks,
                    uint8_t *destination) {
  switch (header) {
    case FT_HEADER_K: pack_k_scales(rows, destination); return;
    case FT_HEADER_SCALED:
      pack_plane12(rows, false, blocks, destination, destination + 32);
      return;
    case FT_HEADER_AFFINE:
      pack_plane12(rows, false, blocks, destination, destination + 64);
      pack_plane12(rows, true, blocks, destination + 32,
                   destination + 64 + blocks * FT_SCALE12_BYTES);
      return;
    case FT_HEADER_SIXTEEN: pack_sixteen_scales(rows, destination); return;
    case FT_HEADER_FLOATS: pack_float_scales(rows, blocks, destination); return;
    case FT_HEADER_NONE: return;
  }
}
