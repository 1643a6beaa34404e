#ifndef FT_OPS_H
#define FT_OPS_H

#include "include/ft_plan.h"

/// One query line of attention: a head of a row, and what that row sees.
typedef struct ft_line {
  const float *query;  // [head_dimension], rotated and scaled
  const int32_t *tail;
  int32_t tail_count;
  int32_t contiguous;
  int32_t low;  // first position inside the sliding window
} ft_line;

/// Lines of one sequence that share a key/value head.
typedef struct ft_attention_tile {
  ft_line lines[FT_LINES];
  int32_t count;
  int32_t contiguous;  // most that any line has
  uint8_t *const *pages;
  size_t offset;  // of the layer and head inside a page
  ft_kv_type kv_type;
  int32_t head_dimension;
} ft_attention_tile;

/// A worker's memory for attention; all 64-byte aligned.
typedef struct ft_attention_scratch {
  float *queries;       // [head_dimension, FT_LINES] floats, or [.. / 2, FT_LINES] pairs of int16
  float *scores;        // [FT_LINES, FT_SPAN], by position
  int16_t *weights;     // [FT_LINES, FT_SPAN], q8 only
  float *value_scales;  // [FT_SPAN], q8 only
  float *partials;      // [FT_LINES, ft_partial_stride]
  float *totals;        // the same
  float query_scales[FT_LINES];
} ft_attention_scratch;

/// Values in a row are padded to whole vectors of 16.
static inline int32_t ft_padded_dimension(int32_t head_dimension) {
  return (head_dimension + 15) & ~15;
}

/// A partial attention sum: weighted values [ft_padded_dimension], then the maximal score and the
/// sum of the weights. A sum of 0 means nothing was seen.
static inline size_t ft_partial_stride(int32_t head_dimension) {
  return (size_t)ft_padded_dimension(head_dimension) + 16;
}

/// The vector code of one instruction set.
typedef struct ft_ops {
  void (*rms_norm)(const float *x, const float *weight, float *out, int32_t n, float epsilon);
  /// The two halves of rms_norm: 1 / root mean square, and the product of columns with it and their
  /// weights. The same bits as rms_norm whatever the columns.
  float (*rms_scale)(const float *x, int32_t n, float epsilon);
  void (*rms_apply)(const float *x, const float *weight, float scale, float *out, int32_t n);
  void (*rms_norm_add)(const float *x, const float *weight, float *out, int32_t n, float epsilon);
  void (*gated)(float *gate, const float *up, int32_t n, bool gelu);
  void (*rotate)(float *head, const float *table, int32_t dimension, bool interleaved);
  void (*scale)(float *x, float factor, int32_t n);
  void (*add)(float *x, const float *y, int32_t n);
  void (*write_key)(uint8_t *head, ft_kv_type type, int32_t head_dimension, int32_t slot,
                    const float *key);
  void (*write_value)(uint8_t *head, ft_kv_type type, int32_t head_dimension, int32_t slot,
                      const float *value);
  /// Lays out the tile's queries in `scratch`, for any number of spans.
  void (*load_queries)(const ft_attention_tile *tile, ft_attention_scratch *scratch);
  /// Partial sums [count, ft_partial_stride] of the positions of `span`.
  void (*attend_span)(const ft_attention_tile *tile, int32_t span,
                      const ft_attention_scratch *scratch, float *partials);
  void (*merge)(float *total, const float *partial, int32_t head_dimension);
  void (*finish)(const float *total, float *out, int32_t head_dimension);
  int32_t (*argmax)(const float *values, int32_t count);
} ft_ops;

extern const ft_ops ft_ops_portable;
#if defined(__x86_64__)
extern const ft_ops ft_ops_avx2;
extern const ft_ops ft_ops_avx512;
#endif

/// The table of the instruction set in force.
const ft_ops *ft_ops_current(void);

#endif
