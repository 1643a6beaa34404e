#include "ft_matmul.h"

/// Groups that a kernel takes at a time, at most.
#define GROUPS_AT_A_TIME 2

/// The kernel of a layout, and how many groups it takes at a time.
typedef struct group_kernel {
  ft_group_kernel *run;
  int32_t groups;
} group_kernel;

#if FT_HAS_X86
/// Rows from which on a kernel of two groups gains more by its fewer loads than it loses by working
/// on two streams.
#define PAIR_ROWS_AVX2 8

static group_kernel avx2_kernel(ft_layout layout, int32_t rows) {
  const bool pair = rows >= PAIR_ROWS_AVX2;
  switch (layout) {
    case FT_LAYOUT_INT4:
      return pair ? (group_kernel){ft_matmul_pair_avx2_int4, 2}
                  : (group_kernel){ft_matmul_group_avx2_int4, 1};
    case FT_LAYOUT_INT5:
      return pair ? (group_kernel){ft_matmul_pair_avx2_int5, 2}
                  : (group_kernel){ft_matmul_group_avx2_int5, 1};
    case FT_LAYOUT_INT6:
      return pair ? (group_kernel){ft_matmul_pair_avx2_int6, 2}
                  : (group_kernel){ft_matmul_group_avx2_int6, 1};
    case FT_LAYOUT_INT8: return (group_kernel){ft_matmul_group_avx2_int8, 1};
    default: return (group_kernel){ft_matmul_group_portable, 1};
  }
}

static group_kernel vnni_kernel(ft_layout layout) {
  switch (layout) {
    case FT_LAYOUT_INT4: return (group_kernel){ft_matmul_pair_vnni_int4, 2};
    case FT_LAYOUT_INT5: return (group_kernel){ft_matmul_pair_vnni_int5, 2};
    case FT_LAYOUT_INT6: return (group_kernel){ft_matmul_pair_vnni_int6, 2};
    case FT_LAYOUT_INT8: return (group_kernel){ft_matmul_pair_vnni_int8, 2};
    default: return (group_kernel){ft_matmul_group_portable, 1};
  }
}
#endif

#if FT_HAS_NEON
static group_kernel neon_kernel(ft_layout layout) {
  switch (layout) {
    case FT_LAYOUT_INT4: return (group_kernel){ft_matmul_group_neon_int4, 1};
    case FT_LAYOUT_INT5: return (group_kernel){ft_matmul_group_neon_int5, 1};
    case FT_LAYOUT_INT6: return (group_kernel){ft_matmul_group_neon_int6, 1};
    case FT_LAYOUT_INT8: return (group_kernel){ft_matmul_group_neon_int8, 1};
    default: return (group_kernel){ft_matmul_group_portable, 1};
  }
}
#endif

/// The kernel for tiles of up to `rows` activation rows.
static group_kernel kernel_of_layout(ft_layout layout, int32_t rows) {
#if FT_HAS_X86
  const ft_isa isa = ft_isa_current();
  if (isa == FT_ISA_AVX512VNNI) return vnni_kernel(layout);
  if (isa != FT_ISA_PORTABLE) return avx2_kernel(layout, rows);
#endif
#if FT_HAS_NEON
  if (ft_isa_current() == FT_ISA_NEON) return neon_kernel(layout);
#endif
  (void)layout, (void)rows;
  return (group_kernel){ft_matmul_group_portable, 1};
}

/// What one call multiplies: groups groups[begin ..< end], or begin ..< end themselves.
typedef struct product {
  const ft_matrix *matrix;
  const ft_activations *activations;
  int32_t batch;
  float *out;
  size_t out_stride;
  const int32_t *groups;  // or NULL
  int32_t begin;
  int32_t end;
} product;

static int32_t group_at(const product *p, int32_t index) {
  return p->groups ? p->groups[index] : index;
}

static void multiply_rows(const product *p, void *scratch) {
  for (int32_t index = p->begin; index < p->end; index++) {
    ft_matmul_rows(p->matrix, p->activations, p->batch, group_at(p, index),
                   p->out + (size_t)index * FT_GROUP_ROWS, p->out_stride, scratch);
  }
}

static void multiply_packed(const product *p) {
  const ft_format format = ft_matrix_format(p->matrix);
  const ft_tiling tiling =
      ft_activation_tiling(p->matrix->columns, p->activations->capacity);
  const int32_t rows = p->batch < tiling.tile_rows ? p->batch : tiling.tile_rows;
  const group_kernel kernel = kernel_of_layout(p->matrix->layout, rows);
  // A kernel of several groups takes each from a stretch of its own, so that it reads so many
  // ascending streams without gaps.
  const int32_t stretch = (p->end - p->begin + kernel.groups - 1) / kernel.groups;
  for (int32_t index = p->begin; index < p->begin + stretch; index++) {
    for (int32_t first = 0; first < p->batch; first += tiling.tile_rows) {
      const int32_t left = p->batch - first;
      const ft_tile tile =
          ft_activation_tile(p->activations, tiling, first / tiling.tile_rows,
                             left < tiling.tile_rows ? left : tiling.tile_rows);
      ft_group_target targets[GROUPS_AT_A_TIME];
      for (int32_t i = 0; i < kernel.groups; i++) {
        // A group without a partner is its own: computed twice, written once.
        const bool alone = index + i * stretch >= p->end;
        const int32_t place = alone ? index : index + i * stretch, group = group_at(p, place);
        targets[i].weights =
            (const uint8_t *)p->matrix->data + (size_t)group * format.group_bytes;
        targets[i].out =
            p->out + (size_t)first * p->out_stride + (size_t)place * FT_GROUP_ROWS;
        targets[i].valid = alone ? 0 : ft_valid_rows(p->matrix, group);
      }
      kernel.run(p->matrix, &format, targets, &tile, p->out_stride);
    }
  }
}

void ft_matmul_groups(const ft_matrix *matrix, const ft_activations *activations, int32_t batch,
                      float *out, size_t out_stride, const int32_t *groups, int32_t begin,
                      int32_t end, void *scratch) {
  if (batch <= 0) return;
  const product p = {matrix, activations, batch, out, out_stride, groups, begin, end};
  if (matrix->layout == FT_LAYOUT_ROWS) {
    multiply_rows(&p, scratch);
  } else {
    multiply_packed(&p);
  }
}

void ft_matmul(const ft_matrix *matrix, const ft_activations *activations, int32_t batch,
               float *out, size_t out_stride, int32_t group_begin, int32_t group_end,
               void *scratch) {
  ft_matmul_groups(matrix, activations, batch, out, out_stride, NULL, group_begin, group_end,
                   scratch);
}
