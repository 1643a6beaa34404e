#include "ft_isa.h"

#if FT_HAS_X86
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include <stddef.h>

#include "ft_blocks.h"
#include "ft_matmul_avx2.h"

// FT_LAYOUT_ROWS: one register is the eight lanes of one output. Tiles of 4 output rows x 2
// activation rows, or 8 x 1, keep eight sums in flight, enough to hide the latency of an addition.

FT_INLINE __m256 convert8(ft_type type, const uint8_t *source, int32_t index) {
  if (type == FT_TYPE_F32) return _mm256_loadu_ps((const float *)source + index);
  const __m128i bits = _mm_loadu_si128((const __m128i *)(source + 2 * (size_t)index));
  if (type == FT_TYPE_F16) return _mm256_cvtph_ps(bits);
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}

FT_INLINE void convert_floats(ft_type type, const uint8_t *source, float *destination,
                              int32_t count) {
  const size_t bytes = type == FT_TYPE_F32 ? 4 : 2;
  int32_t i = 0;
  for (; i + 4 * FT_ROWS_LANES <= count; i += 4 * FT_ROWS_LANES) {
    prefetch_near(source + bytes * (size_t)i, 4 * FT_ROWS_LANES * (int32_t)bytes);
    for (int32_t k = i; k < i + 4 * FT_ROWS_LANES; k += FT_ROWS_LANES) {
      _mm256_storeu_ps(destination + k, convert8(type, source, k));
    }
  }
  for (; i + FT_ROWS_LANES <= count; i += FT_ROWS_LANES) {
    _mm256_storeu_ps(destination + i, convert8(type, source, i));
  }
  if (i == count) return;
  ft_dequantize(type, source + bytes * (size_t)i, destination + i, (size_t)(count - i));
}

FT_INLINE __m256 float_bytes(__m128i bytes) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
}

/// 16 columns of Q2_K: scale * q - minimum.
FT_INLINE void convert_sixteen(__m128i quants, float scale, float minimum, float *destination) {
  const __m256 factor = _mm256_set1_ps(scale), offset = _mm256_set1_ps(minimum);
  const __m256 low = _mm256_mul_ps(factor, float_bytes(quants));
  const __m256 high = _mm256_mul_ps(factor, float_bytes(_mm_srli_si128(quants, 8)));
  _mm256_storeu_ps(destination, _mm256_sub_ps(low, offset));
  _mm256_storeu_ps(destination + 8, _mm256_sub_ps(high, offset));
}

static void convert_q2_k(const uint8_t *source, float *destination) {
  const ft_block_q2_k *block = (const ft_block_q2_k *)source;
  ft_half halves[2];
  memcpy(halves, source + offsetof(ft_block_q2_k, scale), sizeof halves);
  const __m128i packed = _mm_loadu_si128((const __m128i *)block->scales);
  const __m128i nibble = _mm_set1_epi8(15), mask = _mm_set1_epi8(3);
  const __m128i low = _mm_and_si128(packed, nibble);
  const __m128i high = _mm_and_si128(_mm_srli_epi16(packed, 4), nibble);
  const __m256 scale = _mm256_set1_ps(ft_half_to_float(halves[0]));
  const __m256 minimum = _mm256_set1_ps(ft_half_to_float(halves[1]));
  float scales[16], minimums[16];
  for (int i = 0; i < 2; i++) {
    const __m128i s = i == 0 ? low : _mm_srli_si128(low, 8);
    const __m128i m = i == 0 ? high : _mm_srli_si128(high, 8);
    _mm256_storeu_ps(scales + 8 * i, _mm256_mul_ps(scale, float_bytes(s)));
    _mm256_storeu_ps(minimums + 8 * i, _mm256_mul_ps(minimum, float_bytes(m)));
  }
  for (int half = 0; half < 2; half++) {
    for (int part = 0; part < 2; part++) {
      __m128i quants = _mm_loadu_si128((const __m128i *)(block->quants + 32 * half + 16 * part));
      for (int pair = 0; pair < 4; pair++) {
        const int group = 8 * half + 2 * pair + part;
        convert_sixteen(_mm_and_si128(quants, mask), scales[group], minimums[group],
                        destination + 16 * group);
        quants = _mm_srli_epi16(quants, 2);
      }
    }
  }
}

bool ft_rows_convert_avx2(ft_type type, const uint8_t *source, float *destination, int32_t count) {
  switch (type) {
    case FT_TYPE_F32: convert_floats(FT_TYPE_F32, source, destination, count); return true;
    case FT_TYPE_F16: convert_floats(FT_TYPE_F16, source, destination, count); return true;
    case FT_TYPE_BF16: convert_floats(FT_TYPE_BF16, source, destination, count); return true;
    case FT_TYPE_Q2_K:
      for (int32_t i = 0; i < count; i += FT_BLOCK_SUPER, source += sizeof(ft_block_q2_k)) {
        prefetch_near(source, 2 * FT_CACHE_LINE);
        convert_q2_k(source, destination + i);
      }
      return true;
    default: return false;
  }
}

FT_INLINE __m256 multiply_add(__m256 sum, __m256 weight, __m256 value) {
  return _mm256_add_ps(sum, _mm256_mul_ps(weight, value));
}

/// `outputs` rows of weights times `count` activation rows; `lanes` are those of the first.
FT_INLINE void accumulate_tile(int outputs, int count, const float *weights, const float *x,
                               size_t x_stride, int32_t columns, float *lanes) {
  const size_t row_lanes = (size_t)FT_GROUP_ROWS * FT_ROWS_LANES;
  __m256 sums[2][FT_GROUP_ROWS];
  for (int b = 0; b < count; b++) {
    for (int row = 0; row < outputs; row++) {
      sums[b][row] = _mm256_loadu_ps(lanes + (size_t)b * row_lanes + row * FT_ROWS_LANES);
    }
  }
  for (int32_t c = 0; c < columns; c += FT_ROWS_LANES) {
    __m256 values[2];
    for (int b = 0; b < count; b++) values[b] = _mm256_loadu_ps(x + (size_t)b * x_stride + c);
    for (int row = 0; row < outputs; row++) {
      const __m256 own = _mm256_loadu_ps(weights + (size_t)row * FT_ROWS_CHUNK + c);
      for (int b = 0; b < count; b++) sums[b][row] = multiply_add(sums[b][row], own, values[b]);
    }
  }
  for (int b = 0; b < count; b++) {
    for (int row = 0; row < outputs; row++) {
      _mm256_storeu_ps(lanes + (size_t)b * row_lanes + row * FT_ROWS_LANES, sums[b][row]);
    }
  }
}

void ft_rows_accumulate_avx2(const float *weights, const float *x, size_t x_stride, int32_t batch,
                             int32_t count, float *lanes) {
  const int32_t whole = count - count % FT_ROWS_LANES;
  const size_t row_lanes = (size_t)FT_GROUP_ROWS * FT_ROWS_LANES;
  int32_t b = 0;
  for (; b + 2 <= batch; b += 2) {
    const float *values = x + (size_t)b * x_stride;
    float *sums = lanes + (size_t)b * row_lanes;
    for (int row = 0; row < FT_GROUP_ROWS; row += 4) {
      accumulate_tile(4, 2, weights + (size_t)row * FT_ROWS_CHUNK, values, x_stride, whole,
                      sums + row * FT_ROWS_LANES);
    }
  }
  if (b < batch) {
    accumulate_tile(FT_GROUP_ROWS, 1, weights, x + (size_t)b * x_stride, x_stride, whole,
                    lanes + (size_t)b * row_lanes);
  }
  if (whole == count) return;
  // The last columns of a matrix whose width is no multiple of eight; lanes are continued.
  ft_rows_accumulate_portable(weights + whole, x + whole, x_stride, batch, count - whole, lanes);
}

/// Eight rows of weights in the file's type times `count` activation rows.
FT_INLINE void multiply_direct(ft_type type, int count, const uint8_t *source, int32_t columns,
                               const float *x, size_t x_stride, float *lanes) {
  const size_t row_bytes = (type == FT_TYPE_F32 ? 4 : 2) * (size_t)columns;
  const int32_t whole = columns - columns % FT_ROWS_LANES;
  __m256 sums[2][FT_GROUP_ROWS];
  for (int b = 0; b < count; b++) {
    for (int row = 0; row < FT_GROUP_ROWS; row++) sums[b][row] = _mm256_setzero_ps();
  }
  for (int32_t c = 0; c < whole; c += FT_ROWS_LANES) {
    __m256 values[2];
    for (int b = 0; b < count; b++) values[b] = _mm256_loadu_ps(x + (size_t)b * x_stride + c);
    for (int row = 0; row < FT_GROUP_ROWS; row++) {
      const uint8_t *own = source + (size_t)row * row_bytes;
      // The same columns of the next group.
      if (c % (4 * FT_ROWS_LANES) == 0) {
        _mm_prefetch((const char *)own + FT_GROUP_ROWS * row_bytes + row_bytes / columns * c,
                     _MM_HINT_T1);
      }
      const __m256 weight = convert8(type, own, c);
      for (int b = 0; b < count; b++) sums[b][row] = multiply_add(sums[b][row], weight, values[b]);
    }
  }
  for (int b = 0; b < count; b++) {
    for (int row = 0; row < FT_GROUP_ROWS; row++) {
      float *own = lanes + ((size_t)b * FT_GROUP_ROWS + row) * FT_ROWS_LANES;
      _mm256_storeu_ps(own, sums[b][row]);
      const float *values = x + (size_t)b * x_stride + whole;
      float rest[FT_ROWS_LANES];
      if (whole == columns) continue;
      ft_dequantize(type, source + row * row_bytes + row_bytes / columns * whole, rest,
                    (size_t)(columns - whole));
      for (int32_t c = 0; c < columns - whole; c++) own[c] = own[c] + rest[c] * values[c];
    }
  }
}

FT_INLINE void multiply_direct_rows(ft_type type, const uint8_t *source, int32_t columns,
                                    const float *x, size_t x_stride, int32_t batch,
                                    float *lanes) {
  const size_t row_lanes = (size_t)FT_GROUP_ROWS * FT_ROWS_LANES;
  int32_t b = 0;
  for (; b + 2 <= batch; b += 2) {
    multiply_direct(type, 2, source, columns, x + (size_t)b * x_stride, x_stride,
                    lanes + (size_t)b * row_lanes);
  }
  if (b == batch) return;
  multiply_direct(type, 1, source, columns, x + (size_t)b * x_stride, x_stride,
                  lanes + (size_t)b * row_lanes);
}

bool ft_rows_direct_avx2(ft_type type, const uint8_t *source, int32_t columns, const float *x,
                         size_t x_stride, int32_t batch, float *lanes) {
  switch (type) {
    case FT_TYPE_F32:
      multiply_direct_rows(FT_TYPE_F32, source, columns, x, x_stride, batch, lanes);
      return true;
    case FT_TYPE_F16:
      multiply_direct_rows(FT_TYPE_F16, source, columns, x, x_stride, batch, lanes);
      return true;
    case FT_TYPE_BF16:
      multiply_direct_rows(FT_TYPE_BF16, source, columns, x, x_stride, batch, lanes);
      return true;
    default: return false;
  }
}

#pragma clang attribute pop
#endif
