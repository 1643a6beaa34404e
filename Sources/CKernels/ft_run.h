#ifndef FT_RUN_H
#define FT_RUN_H

// A pass on its way through the stages of the pool. Private to CKernels.

#include "ft_ops.h"

/// How the attention of one operation is cut up.
typedef struct ft_attention_split {
  int32_t units;       // up to FT_LINES lines of one sequence and key/value head each
  int32_t first_span;  // of the pass: spans before it lie outside of every row's window
  int32_t spans;       // from first_span on
  int32_t positions;   // from the first that any row sees to the last
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
  bool by_columns;             // norms and quantising: units are blocks of 32 columns of all rows
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

// Products (ft_plan_matmul.c).

/// Row groups of an operation's matrices, or heads where keys and values are stored.
int32_t ft_matmul_units(const ft_run *run);
/// Nanoseconds that one of them is likely to take.
double ft_matmul_unit_cost(const ft_run *run);
/// Units that belong together.
int32_t ft_matmul_grain(const ft_run *run);
void ft_run_matmul(const ft_run *run, int32_t worker, int32_t begin, int32_t end);
/// Where `worker` is likely to begin with the weights of `op`.
const void *ft_matmul_start(const ft_run *run, const ft_op *op, int32_t worker);

static inline int32_t ft_op_rows(const ft_op *op, const ft_pass *pass) {
  return op->selected ? pass->selected_count : pass->row_count;
}

/// Rows that skip the half of the layer the operation belongs to, or NULL.
static inline const uint8_t *ft_skip_mask(const ft_op *op, const ft_pass *pass) {
  const uint8_t *mask = op->part == FT_PART_ATTENTION      ? pass->skip_attention
                        : op->part == FT_PART_FEED_FORWARD ? pass->skip_feed_forward
                                                           : NULL;
  return mask ? mask + (size_t)op->layer * pass->row_count : NULL;
}

/// A pass's activations, laid out for just `rows` rows so that few rows lie close together.
static inline ft_activations ft_lay_out(const ft_pass *pass, int32_t index, int32_t rows) {
  ft_activations activations = pass->activations[index];
  ft_activations_init(&activations, activations.values, activations.columns, rows);
  return activations;
}

// Attention (ft_plan_attention.c).

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
