#include "ft_matrix.h"

#include "ft_matrix_format.h"

static ft_layout layout_of_type(ft_type type) {
  switch (type) {
    case FT_TYPE_Q4_0:
    case FT_TYPE_Q4_1:
    case FT_TYPE_Q4_K: return FT_LAYOUT_INT4;
    case FT_TYPE_Q5_0:
    case FT_TYPE_Q5_1:
    case FT_TYPE_Q5_K: return FT_LAYOUT_INT5;
    case FT_TYPE_Q6_K:
    case FT_TYPE_Q3_K: return FT_LAYOUT_INT6;
    case FT_TYPE_Q8_0:
    case FT_TYPE_IQ4_NL: return FT_LAYOUT_INT8;
    case FT_TYPE_F32:
    case FT_TYPE_F16:
    case FT_TYPE_BF16:
    case FT_TYPE_Q2_K: return FT_LAYOUT_ROWS;
  }
  return FT_LAYOUT_ROWS;
}

static ft_header header_of_type(ft_type type) {
  switch (type) {
    case FT_TYPE_Q4_K:
    case FT_TYPE_Q5_K: return FT_HEADER_K;
    case FT_TYPE_Q4_0:
    case FT_TYPE_Q5_0: return FT_HEADER_SCALED;
    case FT_TYPE_Q4_1:
    case FT_TYPE_Q5_1: return FT_HEADER_AFFINE;
    case FT_TYPE_Q6_K:
    case FT_TYPE_Q3_K: return FT_HEADER_SIXTEEN;
    case FT_TYPE_Q8_0:
    case FT_TYPE_IQ4_NL: return FT_HEADER_FLOATS;
    default: return FT_HEADER_NONE;
  }
}

static int32_t zero_of_type(ft_type type) {
  switch (type) {
    case FT_TYPE_Q4_0: return 8;
    case FT_TYPE_Q5_0: return 16;
    case FT_TYPE_Q6_K:
    case FT_TYPE_Q3_K: return FT_INT6_ZERO;
    default: return 0;
  }
}

static int32_t vectors_of_layout(ft_layout layout) {
  switch (layout) {
    case FT_LAYOUT_INT4: return 4;
    case FT_LAYOUT_INT5: return 5;
    case FT_LAYOUT_INT6: return 6;
    case FT_LAYOUT_INT8: return 8;
    default: return 0;
  }
}

ft_format ft_matrix_format(const ft_matrix *matrix) {
  ft_format format = {0};
  if (matrix->layout == FT_LAYOUT_ROWS || matrix->layout == FT_LAYOUT_NONE) return format;
  const int32_t blocks = matrix->columns / FT_BLOCK_COLUMNS;
  format.header = header_of_type(matrix->type);
  format.zero = zero_of_type(matrix->type);
  format.block_bytes = vectors_of_layout(matrix->layout) * FT_VECTOR_BYTES;
  format.full_supers = blocks / FT_SUPER_BLOCKS;
  format.tail_blocks = blocks % FT_SUPER_BLOCKS;
  format.super_bytes = ft_header_bytes(format.header, FT_SUPER_BLOCKS) +
                       FT_SUPER_BLOCKS * (size_t)format.block_bytes;
  format.group_bytes = (size_t)format.full_supers * format.super_bytes;
  if (format.tail_blocks > 0) {
    format.group_bytes += ft_header_bytes(format.header, format.tail_blocks) +
                          (size_t)format.tail_blocks * (size_t)format.block_bytes;
  }
  return format;
}

bool ft_matrix_plan(ft_matrix *matrix, ft_type type, int32_t rows, int32_t columns,
                    bool reference) {
  const int32_t elements = ft_type_block_elements(type);
  if (elements <= 0 || rows <= 0 || columns <= 0 || columns % elements != 0) return false;
  matrix->type = type;
  matrix->layout = reference ? FT_LAYOUT_ROWS : layout_of_type(type);
  matrix->rows = rows;
  matrix->columns = columns;
  matrix->data = NULL;
  size_t units = (size_t)rows;
  size_t unit_bytes = (size_t)(columns / elements) * (size_t)ft_type_block_bytes(type);
  if (matrix->layout != FT_LAYOUT_ROWS) {
    units = (size_t)ft_matrix_groups(matrix);
    unit_bytes = ft_matrix_format(matrix).group_bytes;
  }
  return !__builtin_mul_overflow(units, unit_bytes, &matrix->bytes);
}

int32_t ft_matrix_groups(const ft_matrix *matrix) {
  return (int32_t)(((int64_t)matrix->rows + FT_GROUP_ROWS - 1) / FT_GROUP_ROWS);
}
