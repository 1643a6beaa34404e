#ifndef FT_MATRIX_FORMAT_H
#define FT_MATRIX_FORMAT_H

// How packed matrices and prepared activations lie in memory. Private to CKernels.
//
// Matrix. The rows are taken in groups of 8. A group is one ascending stream of super-blocks of
// up to 256 columns (the last may be shorter: 576 = 2 x 256 + 64), and a super-block is a header
// with the scales followed by its blocks of 8 rows x 32 columns:
//
//   group 0: [header | block 0 ... block 7] [header | ...] ...   group 1: ...
//
// In a block, byte 4 r + j of vector t (32 bytes, t = 0...7) belongs to row r, column 4 t + j. So
// one 32-bit lane is one row, no kernel sums across lanes, and four activations broadcast to all
// lanes meet the four columns of every row.
//
//   INT4  4 vectors: vector t in the low nibbles, t + 4 in the high ones                 128 bytes
//   INT5  the same, then one vector whose bit t is bit 4 of vector t                     160 bytes
//   INT6  the same 4, then 2 vectors: bits 2 i, 2 i + 1 of vector v are bits 4, 5 of
//         vector 4 v + i                                                                 192 bytes
//   INT8  8 vectors of signed bytes                                                      256 bytes
//
// The bits of a product. With w = q - zero, the signed integer that a quant stands for (zero is 8 in
// Q4_0, 16 in Q5_0, 32 in INT6, otherwise 0), and with dot products over the 32 columns of a block
// that are exact in 32 bits, every variant computes for a super-block, in ascending order of k,
//
//   u[r] = sum over its blocks k of a_scale[k] * (s[k][r] * dot(w[k][r], a[k]))
//   v[r] = sum over its blocks k of m[k][r] * a_offset[k]                         K and AFFINE only
//
// where s * dot is exact in 32 bits too, m is an integer, and a_offset[k] = a_scale[k] * sum(a[k]).
// In SIXTEEN, s belongs to 16 columns: s0 * dot0 + s1 * dot1. Then, super-block by super-block,
//
//   products[r] += scale[r] * u[r]
//   offsets[r]  += offset_scale[r] * v[r]
//   output[r]    = products[r] + offsets[r]
//
// FLOATS has no integers: products[r] += (scale[k][r] * a_scale[k]) * dot(w[k][r], a[k]).
// Every operation on floats rounds once: no multiplication is fused with an addition.
//
// Header kinds (n = blocks of the super-block, all rows of a plane together):
//   K        scale f16[8], offset f16[8], 6-bit s and m: low nibbles u8[8][8] (s low, m high),
//            two top bits u8[32] (see `ft_pack_k_scales`); always 8 blocks               128 bytes
//   SCALED   scale f32[8], 12-bit s. The offset is -zero * s, nothing is stored     32 + 12 n bytes
//   AFFINE   scale f32[8], offset f32[8], 12-bit s, 12-bit m                        64 + 24 n bytes
//   SIXTEEN  scale f32[8], 8-bit s per 16 columns i8[16][8]; always 8 blocks            160 bytes
//   FLOATS   scale f16[n][8], one per block: no integer scale leaves room in 32 bits    16 n bytes
// 12-bit numbers are signed, from -2047 to 2047: their top bytes i8[n][8], then their low nibbles
// u8[n][4], byte i holding those of rows i (low nibble) and i + 4 (high nibble).

#include <stddef.h>
#include <stdint.h>

#include "ft_matrix.h"

#define FT_BLOCK_COLUMNS 32
#define FT_SUPER_COLUMNS 256
#define FT_SUPER_BLOCKS (FT_SUPER_COLUMNS / FT_BLOCK_COLUMNS)
#define FT_BLOCK_VECTORS 8    // vectors of an unpacked block
#define FT_VECTOR_BYTES 32    // 8 rows x 4 columns
#define FT_SCALE12_MAX 2047   // largest 12-bit integer scale
#define FT_SCALE12_BYTES 12   // 8 scales of 12 bits
#define FT_INT6_ZERO 32       // INT6 stores q + 32

/// Activation rows that lie interleaved and that one pass over the weights serves, at most. Wide
/// tiles unpack weights less often; beyond 64 rows there is nothing left to gain.
#define FT_TILE_ROWS 64

/// Sums that take the zero off products of unsigned quants are multiplied with minus this in
/// advance: Q4_0 needs them as they are, the others shifted left.
#define FT_ZERO_STEP 8

typedef enum ft_header {
  FT_HEADER_NONE,
  FT_HEADER_K,
  FT_HEADER_SCALED,
  FT_HEADER_AFFINE,
  FT_HEADER_SIXTEEN,
  FT_HEADER_FLOATS,
} ft_header;

/// What the kernels need to know of a packed matrix.
typedef struct ft_format {
  ft_header header;
  int32_t zero;          // the quant that stands for 0; 0 where offsets say so
  int32_t block_bytes;
  int32_t full_supers;   // super-blocks of 256 columns in a group
  int32_t tail_blocks;   // blocks of the last, shorter super-block, or 0
  size_t super_bytes;    // of a full super-block
  size_t group_bytes;
} ft_format;

ft_format ft_matrix_format(const ft_matrix *matrix);

/// Bytes of the header of a super-block of `blocks` blocks.
static inline size_t ft_header_bytes(ft_header header, int32_t blocks) {
  switch (header) {
    case FT_HEADER_K: return 32 + 64 + 32;
    case FT_HEADER_SCALED: return 32 + (size_t)blocks * FT_SCALE12_BYTES;
    case FT_HEADER_AFFINE: return 64 + 2 * (size_t)blocks * FT_SCALE12_BYTES;
    case FT_HEADER_SIXTEEN: return 32 + 128;
    case FT_HEADER_FLOATS: return 16 * (size_t)blocks;
    case FT_HEADER_NONE: return 0;
  }
  return 0;
}

// Activations. Rows are dealt into tiles of `tile_rows` <= 64 of near-equal width, so that the
// passes of a batch of `capacity` rows are near-equal too. Inside a tile:
//   values   [block][tile_rows][32] int8, in -127...127
//   scales   [block][tile_rows] float
//   offsets  [block][tile_rows] float: scale times the sum of the values
// and sums of the values that take zeros off, for 32-bit lanes
//   zeros        [block][tile_rows] int32: -FT_ZERO_STEP times the sum of the 32 columns
//   half_zeros   [block][tile_rows][2] int32: -FT_INT6_ZERO times the sum of each 16 columns
// and, for pairs of 16-bit lanes that hold the columns 0 and 1 of every four, and 2 and 3,
//   pair_zeros   [block][tile_rows][2] int16: -FT_ZERO_STEP times the sums over the 32 columns
//   half_pairs   [block][tile_rows][2][2] int16: -FT_INT6_ZERO times the sums over each 16 columns

/// Shape of the prepared activations of `columns` columns and `capacity` rows.
typedef struct ft_tiling {
  int32_t tile_rows;
  int32_t tiles;
  int32_t blocks;  // of 32 columns, the last possibly shorter
} ft_tiling;

static inline ft_tiling ft_activation_tiling(int32_t columns, int32_t capacity) {
  ft_tiling tiling;
  tiling.tiles = (capacity + FT_TILE_ROWS - 1) / FT_TILE_ROWS;
  tiling.tile_rows = (capacity + tiling.tiles - 1) / tiling.tiles;
  tiling.blocks = (columns + FT_BLOCK_COLUMNS - 1) / FT_BLOCK_COLUMNS;
  return tiling;
}

/// The first `rows` rows of one tile, as the integer kernels read them.
typedef struct ft_tile {
  const int8_t *values;
  const float *scales;
  const float *offsets;
  const int32_t *zeros;
  const int32_t *half_zeros;
  const int16_t *pair_zeros;
  const int16_t *half_pairs;
  int32_t rows;
  int32_t stride;  // rows the tile is laid out for
} ft_tile;

static inline ft_tile ft_activation_tile(const ft_activations *activations, ft_tiling tiling,
                                         int32_t index, int32_t rows) {
  const size_t first = (size_t)index * (size_t)tiling.tile_rows * (size_t)tiling.blocks;
  ft_tile tile;
  tile.values = activations->values + first * FT_BLOCK_COLUMNS;
  tile.scales = activations->scales + first;
  tile.offsets = activations->offsets + first;
  tile.zeros = activations->zeros + first;
  tile.half_zeros = activations->half_zeros + first * 2;
  tile.pair_zeros = activations->pair_zeros + first * 2;
  tile.half_pairs = activations->half_pairs + first * 4;
  tile.rows = rows;
  tile.stride = tiling.tile_rows;
  return tile;
}

#endif
