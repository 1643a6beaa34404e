#include "ft_isa.h"

#if FT_HAS_X86
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "ft_blocks.h"
#include "ft_matmul_avx2.h"

// FT_LAYOUT_ROWS: one register is the eight lanes of one output. Tiles of 4 output rows x 2
// activation rows keep eight sums in flight, enough to hide the latency of an addition.

#define TILE_OUTPUTS 4

bool ft_rows_convert_avx2(ft_type type, const uint8_t *source, float *destination, int32_t count) {
  if (type != FT_TYPE_F16 && type != FT_TYPE_BF16) return false;
  const int32_t whole = count - count % FT_ROWS_LANES;
  for (int32_t i = 0; i < whole; i += FT_ROWS_LANES) {
    const __m128i bits = _mm_loadu_si128((const __m128i *)(source + 2 * i));
    const __m256 wide =
        type == FT_TYPE_F16
            ? _mm256_cvtph_ps(bits)
            : _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
    _mm256_storeu_ps(destination + i, wide);
  }
  return whole == count || ft_dequantize(type, source + 2 * whole, destination + whole,
                                         (size_t)(count - whole));
}

FT_INLINE __m256 multiply_add(__m256 sum, __m256 weight, __m256 value) {
  return _mm256_add_ps(sum, _mm256_mul_ps(weight, value));
}

/// Four rows of weights times `count` activation rows; `lanes` are those of the first.
FT_INLINE void accumulate_tile(int count, const float *weights, const float *x, size_t x_stride,
                               int32_t columns, float *lanes) {
  const size_t row_lanes = (size_t)FT_GROUP_ROWS * FT_ROWS_LANES;
  __m256 sums[2][TILE_OUTPUTS];
  for (int b = 0; b < count; b++) {
    for (int row = 0; row < TILE_OUTPUTS; row++) {
      sums[b][row] = _mm256_loadu_ps(lanes + (size_t)b * row_lanes + row * FT_ROWS_LANES);
    }
  }
  for (int32_t c = 0; c < columns; c += FT_ROWS_LANES) {
    for (int row = 0; row < TILE_OUTPUTS; row++) {
      const __m256 own = _mm256_loadu_ps(weights + (size_t)row * FT_ROWS_CHUNK + c);
      for (int b = 0; b < count; b++) {
        const __m256 value = _mm256_loadu_ps(x + (size_t)b * x_stride + c);
        sums[b][row] = multiply_add(sums[b][row], own, value);
      }
    }
  }
  for (int b = 0; b < count; b++) {
    for (int row = 0; row < TILE_OUTPUTS; row++) {
      _mm256_storeu_ps(lanes + (size_t)b * row_lanes + row * FT_ROWS_LANES, sums[b][row]);
    }
  }
}

void ft_rows_accumulate_avx2(const float *weights, const float *x, size_t x_stride, int32_t batch,
                             int32_t count, float *lanes) {
  const int32_t whole = count - count % FT_ROWS_LANES;
  const size_t row_lanes = (size_t)FT_GROUP_ROWS * FT_ROWS_LANES;
  for (int32_t b = 0; b < batch; b += 2) {
    const float *values = x + (size_t)b * x_stride;
    for (int row = 0; row < FT_GROUP_ROWS; row += TILE_OUTPUTS) {
      const float *own = weights + (size_t)row * FT_ROWS_CHUNK;
      float *sums = lanes + (size_t)b * row_lanes + row * FT_ROWS_LANES;
      if (b + 1 < batch) {
        accumulate_tile(2, own, values, x_stride, whole, sums);
      } else {
        accumulate_tile(1, own, values, x_stride, whole, sums);
      }
    }
  }
  if (whole == count) return;
  // The last columns of a matrix whose width is no multiple of eight; lanes are continued.
  ft_rows_accumulate_portable(weights + whole, x + whole, x_stride, batch, count - whole, lanes);
}

#pragma clang attribute pop
#endif
