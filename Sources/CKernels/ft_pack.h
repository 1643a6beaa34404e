#ifndef FT_PACK_H
#define FT_PACK_H

// The parts of packing. Private to CKernels.

#include "ft_blocks.h"
#include "ft_matrix_format.h"

/// Up to 256 columns of one file row, decoded as far as packing needs. A row of zeros stands for
/// rows beyond the matrix.
typedef struct ft_pack_row {
  uint8_t quants[FT_SUPER_COLUMNS];    // the unsigned quants, or the bytes of INT8
  ft_half scales[FT_SUPER_BLOCKS];     // per block; K-quants use the first
  ft_half offsets[FT_SUPER_BLOCKS];    // per block; K-quants use the first
  int8_t integer_scales[2 * FT_SUPER_BLOCKS];  // K-quants: per 32 or per 16 columns
  uint8_t integer_offsets[FT_SUPER_BLOCKS];    // Q4_K, Q5_K
} ft_pack_row;

/// Decodes the `blocks` blocks of 32 columns at `source` (a file block of a K-quant, or so many
/// blocks of the others).
void ft_pack_decode_row(ft_type type, const uint8_t *source, int32_t blocks, ft_pack_row *row);

/// Writes the header of a super-block.
void ft_pack_header(ft_header header, const ft_pack_row rows[FT_GROUP_ROWS], int32_t blocks,
                    uint8_t *destination);

#endif
