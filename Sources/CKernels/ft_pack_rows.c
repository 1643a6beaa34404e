#include "ft_pack.h"

#pragma STDC FP_CONTRACT OFF

// Decoding of file blocks into bytes, one row at a time: branch-free loops that the compiler turns
// into vector code.

/// Elements i and i + 16 from the nibbles of byte i.
static void split_nibbles(const uint8_t quants[16], uint8_t out[FT_BLOCK_COLUMNS]) {
  for (int i = 0; i < 16; i++) {
    out[i] = quants[i] & 15;
    out[i + 16] = quants[i] >> 4;
  }
}

/// Adds 16 to every element whose bit is set in `high`.
static void add_fifth_bits(const uint8_t high[4], uint8_t out[FT_BLOCK_COLUMNS]) {
  for (int byte = 0; byte < 4; byte++) {
    // Byte i of `spread` is non-zero exactly if bit i is set; adding 127 carries that to bit 7.
    const uint64_t spread = high[byte] * 0x0101010101010101u & 0x8040201008040201u;
    const uint64_t carried =
        ((spread & 0x7F7F7F7F7F7F7F7Fu) + 0x7F7F7F7F7F7F7F7Fu) | spread;
    uint64_t quants;
    memcpy(&quants, out + 8 * byte, sizeof quants);
    quants |= (carried & 0x8080808080808080u) >> 3;
    memcpy(out + 8 * byte, &quants, sizeof quants);
  }
}

static void decode_q4_k(const uint8_t *source, ft_pack_row *row) {
  ft_block_q4_k block;
  memcpy(&block, source, sizeof block);
  row->scales[0] = block.scale;
  row->offsets[0] = block.minimum;
  for (int group = 0; group < FT_SUPER_BLOCKS; group++) {
    uint8_t scale;
    ft_k_scale_minimum(block.scales, group, &scale, &row->integer_offsets[group]);
    row->integer_scales[group] = (int8_t)scale;
  }
  for (int pair = 0; pair < 4; pair++) {
    for (int i = 0; i < 32; i++) {
      const uint8_t byte = block.quants[32 * pair + i];
      row->quants[64 * pair + i] = byte & 15;
      row->quants[64 * pair + 32 + i] = byte >> 4;
    }
  }
}

static void decode_q5_k(const uint8_t *source, ft_pack_row *row) {
  ft_block_q5_k block;
  memcpy(&block, source, sizeof block);
  row->scales[0] = block.scale;
  row->offsets[0] = block.minimum;
  for (int group = 0; group < FT_SUPER_BLOCKS; group++) {
    uint8_t scale;
    ft_k_scale_minimum(block.scales, group, &scale, &row->integer_offsets[group]);
    row->integer_scales[group] = (int8_t)scale;
  }
  for (int pair = 0; pair < 4; pair++) {
    for (int i = 0; i < 32; i++) {
      const uint8_t byte = block.quants[32 * pair + i];
      const uint8_t high = (uint8_t)(block.high[i] >> 2 * pair);
      row->quants[64 * pair + i] = (uint8_t)((byte & 15) | (high & 1) << 4);
      row->quants[64 * pair + 32 + i] = (uint8_t)(byte >> 4 | (high & 2) << 3);
    }
  }
}

static void decode_q6_k(const uint8_t *source, ft_pack_row *row) {
  ft_block_q6_k block;
  memcpy(&block, source, sizeof block);
  row->scales[0] = block.scale;
  memcpy(row->integer_scales, block.scales, sizeof block.scales);
  for (int half = 0; half < 2; half++) {
    uint8_t *out = row->quants + 128 * half;
    for (int i = 0; i < 32; i++) {
      const uint8_t first = block.low[64 * half + i];
      const uint8_t second = block.low[64 * half + 32 + i];
      const uint8_t high = block.high[32 * half + i];
      out[i] = (uint8_t)((first & 15) | (high & 0x03) << 4);
      out[32 + i] = (uint8_t)((second & 15) | (high & 0x0C) << 2);
      out[64 + i] = (uint8_t)(first >> 4 | (high & 0x30));
      out[96 + i] = (uint8_t)(second >> 4 | (high & 0xC0) >> 2);
    }
  }
}

/// Q3_K as 6-bit quants: -4...3 becomes 28...35 around the zero of INT6.
static void decode_q3_k(const uint8_t *source, ft_pack_row *row) {
  ft_block_q3_k block;
  memcpy(&block, source, sizeof block);
  row->scales[0] = block.scale;
  ft_q3_k_scales(block.scales, row->integer_scales);
  for (int group = 0; group < FT_SUPER_BLOCKS; group++) {
    const uint8_t *quants = block.quants + 32 * (group / 4);
    for (int i = 0; i < 32; i++) {
      const int low = quants[i] >> 2 * (group % 4) & 3;
      const int high = block.high[i] >> group & 1;
      row->quants[32 * group + i] = (uint8_t)(FT_INT6_ZERO - 4 + low + 4 * high);
    }
  }
}

static void decode_legacy(ft_type type, const uint8_t *source, int32_t index, ft_pack_row *row) {
  uint8_t *out = row->quants + index * FT_BLOCK_COLUMNS;
  switch (type) {
    case FT_TYPE_Q4_0: {
      ft_block_q4_0 block;
      memcpy(&block, source + (size_t)index * sizeof block, sizeof block);
      row->scales[index] = block.scale;
      split_nibbles(block.quants, out);
      return;
    }
    case FT_TYPE_Q4_1: {
      ft_block_q4_1 block;
      memcpy(&block, source + (size_t)index * sizeof block, sizeof block);
      row->scales[index] = block.scale;
      row->offsets[index] = block.minimum;
      split_nibbles(block.quants, out);
      return;
    }
    case FT_TYPE_Q5_0: {
      ft_block_q5_0 block;
      memcpy(&block, source + (size_t)index * sizeof block, sizeof block);
      row->scales[index] = block.scale;
      split_nibbles(block.quants, out);
      add_fifth_bits(block.high, out);
      return;
    }
    case FT_TYPE_Q5_1: {
      ft_block_q5_1 block;
      memcpy(&block, source + (size_t)index * sizeof block, sizeof block);
      row->scales[index] = block.scale;
      row->offsets[index] = block.minimum;
      split_nibbles(block.quants, out);
      add_fifth_bits(block.high, out);
      return;
    }
    case FT_TYPE_Q8_0: {
      ft_block_q8_0 block;
      memcpy(&block, source + (size_t)index * sizeof block, sizeof block);
      row->scales[index] = block.scale;
      memcpy(out, block.quants, sizeof block.quants);
      return;
    }
    case FT_TYPE_IQ4_NL: {
      ft_block_iq4_nl block;
      memcpy(&block, source + (size_t)index * sizeof block, sizeof block);
      row->scales[index] = block.scale;
      for (int i = 0; i < 16; i++) {
        out[i] = (uint8_t)ft_iq4_nl_values[block.quants[i] & 15];
        out[i + 16] = (uint8_t)ft_iq4_nl_values[block.quants[i] >> 4];
      }
      return;
    }
    default: return;
  }
}

void ft_pack_decode_row(ft_type type, const uint8_t *source, int32_t blocks, ft_pack_row *row) {
  switch (type) {
    case FT_TYPE_Q4_K: decode_q4_k(source, row); return;
    case FT_TYPE_Q5_K: decode_q5_k(source, row); return;
    case FT_TYPE_Q6_K: decode_q6_k(source, row); return;
    case FT_TYPE_Q3_K: decode_q3_k(source, row); return;
    default:
      for (int32_t index = 0; index < blocks; index++) decode_legacy(type, source, index, row);
  }
}
