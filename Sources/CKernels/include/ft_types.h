#ifndef FT_TYPES_H
#define FT_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Storage type of a tensor's elements. The values are the type numbers of the GGUF format.
typedef enum ft_type {
  FT_TYPE_F32 = 0,
  FT_TYPE_F16 = 1,
  FT_TYPE_Q4_0 = 2,
  FT_TYPE_Q4_1 = 3,
  FT_TYPE_Q5_0 = 6,
  FT_TYPE_Q5_1 = 7,
  FT_TYPE_Q8_0 = 8,
  FT_TYPE_Q2_K = 10,
  FT_TYPE_Q3_K = 11,
  FT_TYPE_Q4_K = 12,
  FT_TYPE_Q5_K = 13,
  FT_TYPE_Q6_K = 14,
  FT_TYPE_IQ4_NL = 20,
  FT_TYPE_BF16 = 30,
} ft_type;

/// Elements in one block of `type`: 1 (floats), 32 (legacy quantisations) or 256 (K-quants);
/// 0 if the type is not supported.
int32_t ft_type_block_elements(ft_type type);

/// Bytes of one block of `type`; 0 if the type is not supported.
int32_t ft_type_block_bytes(ft_type type);

/// Dequantises `count` elements (a multiple of the block size) of `source` into `destination`.
/// Any alignment. Returns false, and writes nothing, if the type is not supported.
bool ft_dequantize(ft_type type, const void *source, float *destination, size_t count);

#endif
