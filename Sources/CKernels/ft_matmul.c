#include "ft_matmul.h"

static ft_group_kernel *group_kernel(void) {
  return ft_matmul_group_portable;
}

void ft_matmul(const ft_matrix *matrix, const ft_activations *activations, int32_t batch,
               float *out, size_t out_stride, int32_t group_begin, int32_t group_end,
               void *scratch) {
  if (batch <= 0) return;
  if (matrix->layout == FT_LAYOUT_ROWS) {
    ft_matmul_rows(matrix, activations, batch, out, out_stride, group_begin, group_end, scratch);
    return;
  }
  const ft_format format = ft_matrix_format(matrix);
  const ft_tiling tiling = ft_activation_tiling(matrix->columns, activations->capacity);
  ft_group_kernel *kernel = group_kernel();
  for (int32_t group = group_begin; group < group_end; group++) {
    for (int32_t first = 0; first < batch; first += tiling.tile_rows) {
      const int32_t left = batch - first;
      const ft_tile tile =
          ft_activation_tile(activations, tiling, first / tiling.tile_rows,
                             left < tiling.tile_rows ? left : tiling.tile_rows);
      kernel(matrix, &format, group, &tile,
             out + (size_t)first * out_stride + (size_t)group * FT_GROUP_ROWS, out_stride,
             ft_valid_rows(matrix, group));
    }
  }
}
