#include "ft_pack.h"

#define LOW_NIBBLES 0x0F0F0F0Fu

/// Four columns of each row, the vectors of a block before its bits are put together.
typedef uint32_t ft_words[FT_BLOCK_VECTORS][FT_GROUP_ROWS];

static void gather_words(const ft_pack_row rows[FT_GROUP_ROWS], int32_t block, ft_words words) {
  for (int row = 0; row < FT_GROUP_ROWS; row++) {
    uint32_t own[FT_BLOCK_VECTORS];
    memcpy(own, rows[row].quants + block * FT_BLOCK_COLUMNS, sizeof own);
    for (int vector = 0; vector < FT_BLOCK_VECTORS; vector++) words[vector][row] = own[vector];
  }
}

/// Bits 0-3 of all eight vectors in four.
static void write_nibbles(ft_words words, uint8_t *destination) {
  uint32_t packed[4][FT_GROUP_ROWS];
  for (int vector = 0; vector < 4; vector++) {
    for (int row = 0; row < FT_GROUP_ROWS; row++) {
      packed[vector][row] =
          (words[vector][row] & LOW_NIBBLES) | (words[vector + 4][row] & LOW_NIBBLES) << 4;
    }
  }
  memcpy(destination, packed, sizeof packed);
}

/// Bit 4 of vector t as bit t of one vector.
static void write_fifth_bits(ft_words words, uint8_t *destination) {
  uint32_t packed[FT_GROUP_ROWS] = {0};
  for (int vector = 0; vector < FT_BLOCK_VECTORS; vector++) {
    for (int row = 0; row < FT_GROUP_ROWS; row++) {
      packed[row] |= (words[vector][row] >> 4 & 0x01010101u) << vector;
    }
  }
  memcpy(destination, packed, sizeof packed);
}

/// Bits 4 and 5 of vectors 4 v + i as bits 2 i and 2 i + 1 of vector v.
static void write_top_pairs(ft_words words, uint8_t *destination) {
  uint32_t packed[2][FT_GROUP_ROWS] = {{0}};
  for (int vector = 0; vector < FT_BLOCK_VECTORS; vector++) {
    for (int row = 0; row < FT_GROUP_ROWS; row++) {
      packed[vector / 4][row] |= (words[vector][row] >> 4 & 0x03030303u) << 2 * (vector % 4);
    }
  }
  memcpy(destination, packed, sizeof packed);
}

static void pack_block(ft_layout layout, const ft_pack_row rows[FT_GROUP_ROWS], int32_t block,
                       uint8_t *destination) {
  ft_words words;
  gather_words(rows, block, words);
  if (layout == FT_LAYOUT_INT8) {
    memcpy(destination, words, sizeof words);
    return;
  }
  write_nibbles(words, destination);
  if (layout == FT_LAYOUT_INT5) write_fifth_bits(words, destination + 4 * FT_VECTOR_BYTES);
  if (layout == FT_LAYOUT_INT6) write_top_pairs(words, destination + 4 * FT_VECTOR_BYTES);
}

/// Packs one super-block of `blocks` blocks; returns the bytes written. `sources` are null for
/// rows beyond the matrix.
static size_t pack_super(const ft_matrix *matrix, const ft_format *format,
                         const uint8_t *const sources[FT_GROUP_ROWS], int32_t blocks,
                         uint8_t *destination) {
  ft_pack_row rows[FT_GROUP_ROWS];
  for (int row = 0; row < FT_GROUP_ROWS; row++) {
    if (sources[row]) {
      ft_pack_decode_row(matrix->type, sources[row], blocks, &rows[row]);
    } else {
      memset(&rows[row], 0, sizeof rows[row]);
    }
  }
  ft_pack_header(format->header, rows, blocks, destination);
  uint8_t *next = destination + ft_header_bytes(format->header, blocks);
  for (int32_t block = 0; block < blocks; block++, next += format->block_bytes) {
    pack_block(matrix->layout, rows, block, next);
  }
  return (size_t)(next - destination);
}

static void pack_group(const ft_matrix *matrix, const ft_format *format, uint8_t *destination,
                       const uint8_t *source, size_t row_bytes, int32_t group) {
  const int32_t elements = ft_type_block_elements(matrix->type);
  const size_t block_bytes = (size_t)ft_type_block_bytes(matrix->type);
  const int32_t supers = format->full_supers + (format->tail_blocks > 0);
  for (int32_t super = 0; super < supers; super++) {
    const size_t offset = (size_t)super * (size_t)(FT_SUPER_COLUMNS / elements) * block_bytes;
    const uint8_t *sources[FT_GROUP_ROWS];
    for (int row = 0; row < FT_GROUP_ROWS; row++) {
      const int64_t index = (int64_t)group * FT_GROUP_ROWS + row;
      sources[row] =
          index < matrix->rows ? source + (size_t)index * row_bytes + offset : NULL;
    }
    const int32_t blocks = super < format->full_supers ? FT_SUPER_BLOCKS : format->tail_blocks;
    destination += pack_super(matrix, format, sources, blocks, destination);
  }
}

void ft_matrix_pack(const ft_matrix *matrix, void *data, const void *source, int32_t group_begin,
                    int32_t group_end) {
  const size_t row_bytes = (size_t)(matrix->columns / ft_type_block_elements(matrix->type)) *
                           (size_t)ft_type_block_bytes(matrix->type);
  if (matrix->layout == FT_LAYOUT_ROWS) {
    const int64_t begin = (int64_t)group_begin * FT_GROUP_ROWS;
    int64_t end = (int64_t)group_end * FT_GROUP_ROWS;
    if (end > matrix->rows) end = matrix->rows;
    if (begin >= end) return;
    const size_t first = (size_t)begin * row_bytes;
    memcpy((uint8_t *)data + first, (const uint8_t *)source + first,
           (size_t)(end - begin) * row_bytes);
    return;
  }
  const ft_format format = ft_matrix_format(matrix);
  for (int32_t group = group_begin; group < group_end; group++) {
    pack_group(matrix, &format, (uint8_t *)data + (size_t)group * format.group_bytes, source,
               row_bytes, group);
  }
}
