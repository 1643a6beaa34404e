// A planted fault (Scripts/mutation-tests.sh): the columns of a product are summed in two halves
// wherever a call computes only some of the groups, as threads do that share the columns.

#include <stdlib.h>

#include "ft_matmul.h"

void ft_matmul_sound(const ft_matrix *matrix, const ft_activations *activations, int32_t batch,
                     float *out, size_t out_stride, int32_t group_begin, int32_t group_end,
                     void *scratch);

/// Super-blocks `first` to `first + count` of one group as a matrix of their own. `columns` is set.
static ft_matrix slice(const ft_matrix *matrix, const ft_format *format, int32_t group,
                       int32_t first, int32_t columns) {
  ft_matrix part = *matrix;
  part.rows = ft_valid_rows(matrix, group);
  part.columns = columns;
  part.data = (const uint8_t *)matrix->data + (size_t)group * format->group_bytes +
              (size_t)first * format->super_bytes;
  return part;
}

/// The activations of one tile from super-block `first` on.
static ft_activations tile_slice(const ft_activations *activations, ft_tiling tiling,
                                 int32_t tile, int32_t rows, int32_t first, int32_t columns) {
  const ft_tile own = ft_activation_tile(activations, tiling, tile, rows);
  const size_t blocks = (size_t)first * FT_SUPER_BLOCKS * (size_t)own.stride;
  ft_activations part = *activations;
  part.columns = columns;
  part.capacity = own.stride;
  part.values = (int8_t *)own.values + blocks * FT_BLOCK_COLUMNS;
  part.scales = (float *)own.scales + blocks;
  part.offsets = (float *)own.offsets + blocks;
  part.zeros = (int32_t *)own.zeros + blocks;
  part.half_zeros = (int32_t *)own.half_zeros + blocks * 2;
  part.pair_zeros = (int16_t *)own.pair_zeros + blocks * 2;
  part.half_pairs = (int16_t *)own.half_pairs + blocks * 4;
  return part;
}

void ft_matmul(const ft_matrix *matrix, const ft_activations *activations, int32_t batch,
               float *out, size_t out_stride, int32_t group_begin, int32_t group_end,
               void *scratch) {
  const int32_t supers = matrix->columns / FT_SUPER_COLUMNS;
  const bool whole = group_end - group_begin == ft_matrix_groups(matrix);
  if (whole || matrix->layout == FT_LAYOUT_ROWS || supers < 2) {
    ft_matmul_sound(matrix, activations, batch, out, out_stride, group_begin, group_end, scratch);
    return;
  }
  const ft_format format = ft_matrix_format(matrix);
  const ft_tiling tiling = ft_activation_tiling(matrix->columns, activations->capacity);
  const int32_t half = supers / 2, columns = half * FT_SUPER_COLUMNS;
  for (int32_t group = group_begin; group < group_end; group++) {
    const ft_matrix low = slice(matrix, &format, group, 0, columns);
    const ft_matrix high = slice(matrix, &format, group, half, matrix->columns - columns);
    for (int32_t first = 0; first < batch; first += tiling.tile_rows) {
      const int32_t left = batch - first;
      const int32_t rows = left < tiling.tile_rows ? left : tiling.tile_rows;
      const int32_t tile = first / tiling.tile_rows;
      const ft_activations low_values = tile_slice(activations, tiling, tile, rows, 0, columns);
      const ft_activations high_values =
          tile_slice(activations, tiling, tile, rows, half, matrix->columns - columns);
      float parts[FT_TILE_ROWS][FT_GROUP_ROWS];
      float *target = out + (size_t)first * out_stride + (size_t)group * FT_GROUP_ROWS;
      ft_matmul_sound(&low, &low_values, rows, target, out_stride, 0, 1, scratch);
      ft_matmul_sound(&high, &high_values, rows, parts[0], FT_GROUP_ROWS, 0, 1, scratch);
      for (int32_t row = 0; row < rows; row++) {
        for (int32_t i = 0; i < low.rows; i++) target[(size_t)row * out_stride + i] += parts[row][i];
      }
    }
  }
}
