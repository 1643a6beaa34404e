#include "ft_matmul.h"

#if FT_HAS_X86
static ft_group_kernel *avx2_kernel(ft_layout layout) {
  switch (layout) {
    case FT_LAYOUT_INT4: return ft_matmul_group_avx2_int4;
    case FT_LAYOUT_INT5: return ft_matmul_group_avx2_int5;
    case FT_LAYOUT_INT6: return ft_matmul_group_avx2_int6;
    case FT_LAYOUT_INT8: return ft_matmul_group_avx2_int8;
    default: return ft_matmul_group_portable;
  }
}
#endif

#if FT_HAS_NEON
static ft_group_kernel *neon_kernel(ft_layout layout) {
  switch (layout) {
    case FT_LAYOUT_INT4: return ft_matmul_group_neon_int4;
    case FT_LAYOUT_INT5: return ft_matmul_group_neon_int5;
    case FT_LAYOUT_INT6: return ft_matmul_group_neon_int6;
    case FT_LAYOUT_INT8: return ft_matmul_group_neon_int8;
    default: return ft_matmul_group_portable;
  }
}
#endif

static ft_group_kernel *group_kernel(ft_layout layout) {
#if FT_HAS_X86
  if (ft_isa_current() != FT_ISA_PORTABLE) return avx2_kernel(layout);
#endif
#if FT_HAS_NEON
  if (ft_isa_current() == FT_ISA_NEON) return neon_kernel(layout);
#endif
  (void)layout;
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
  ft_group_kernel *kernel = group_kernel(matrix->layout);
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
