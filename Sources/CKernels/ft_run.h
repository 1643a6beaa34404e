#ifndef FT_RUN_H
#define FT_RUN_H

// A pass on its way through the stages of the pool. Private to CKernels.

#include "ft_ops.h"

/// How the attention of one operation is cut up.
typedef struct ft_attention_split {
  int32_t units;       // up to FT_LINES lines of one sequence and key/value head each
  int32_t first_span;  // of the pass: spans before it lie outside of every row's window
  int32_t spans;       // from first_span on
  bool by_spans;       // (unit, span) pairs are shared out, and their sums joined afterwards
} ft_attention_split;

/// Written between stages by the one worker that prepares them, read by all.
typedef struct ft_run {
  const ft_plan *plan;
  const ft_pass *pass;
  const ft_ops *ops;
  int32_t workers;
  size_t scratch_bytes;
  int32_t next_op;
  const ft_op *op;             // of the present stage
  int32_t units;               // of work: rows, row groups, heads, attention units
  int32_t grain;               // units of one item
  ft_activations activations;  // of the operation, laid out for the rows of this pass
  ft_attention_split split;
  uint64_t before;  // start of the stage, if the pass is profiled
} ft_run;

static inline int32_t ft_ceil_div(int32_t a, int32_t b) { return (a + b - 1) / b; }

static inline float *ft_buffer_row(const ft_pass *pass, int32_t buffer, int32_t row) {
  return pass->buffers[buffer] + pass->strides[buffer] * (size_t)row;
}

static inline uint8_t *ft_run_scratch(const ft_run *run, int32_t worker) {
  return run->pass->scratch + run->scratch_bytes * (size_t)worker;
}

/// Bytes of scratch that attention needs beyond FT_MATMUL_SCRATCH.
size_t ft_attention_scratch_bytes(int32_t head_dimension);

/// Cuts the attention of `op` into pieces.
ft_attention_split ft_split_attention(const ft_run *run, const ft_op *op);
/// Nanoseconds that one piece is likely to take.
double ft_attention_piece_cost(const ft_run *run, const ft_op *op);
/// Pieces of FT_OP_ATTENTION: units, or (unit, span) pairs.
int32_t ft_attention_pieces(const ft_run *run);
void ft_run_attention(const ft_run *run, int32_t worker, int32_t begin, int32_t end);
/// Lines of FT_OP_ATTENTION_MERGE, 0 where nothing was split by spans.
int32_t ft_merge_pieces(const ft_run *run);
void ft_run_attention_merge(const ft_run *run, int32_t worker, int32_t begin, int32_t end);

#endif
