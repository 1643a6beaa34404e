#ifndef FT_PLAN_H
#define FT_PLAN_H

#include "ft_matrix.h"
#include "ft_pool.h"

// A forward pass is a plan: a flat array of operations over numbered buffers, compiled in Swift and
// run by the worker threads in one C call, each operation one stage of the pool (short ones are run
// between two stages). A plan knows nothing of how many rows it runs; rows, tokens, tree and pages
// come with each call.

/// Slots (positions) in one page of key/value memory.
#define FT_PAGE_SLOTS 64
/// Positions whose attention is summed together. Spans lie at absolute multiples of this, and
/// partial sums are merged span by span in order, whoever computes them.
#define FT_SPAN 256
/// Query lines (row, head) that one attention unit carries.
#define FT_LINES 8

typedef enum ft_kv_type { FT_KV_F32 = 0, FT_KV_F16 = 1, FT_KV_Q8 = 2 } ft_kv_type;

typedef enum ft_op_kind {
  FT_OP_EMBED = 0,        // tokens or given rows -> output, times `scale`
  FT_OP_ROPE_TABLE,       // positions -> cosines and sines of every rotary table
  FT_OP_NORM,             // RMSNorm of input, quantised into `activations` (and output, if any)
  FT_OP_QUANTIZE,         // input -> activations
  FT_OP_MATMUL,           // activations x matrices -> outputs, then the epilogue
  FT_OP_ATTENTION,        // tree-masked attention over the pages, input q -> output
  FT_OP_ATTENTION_MERGE,  // joins the spans' partial sums where the pass was split by spans
  FT_OP_NORM_ADD,         // output += RMSNorm(input)
  FT_OP_SELECT,           // rows that logits are asked for -> output
  FT_OP_COPY,             // input -> output (taps)
  FT_OP_GATHER,           // moves candidates' logits from their groups to the front of output's rows
  FT_OP_KINDS
} ft_op_kind;

/// Counters of a profile: time on the clock by kind of operation, then the time that all workers
/// together spent inside operations. What is missing from workers x clock was spent waiting.
enum { FT_PROFILE_WORK = FT_OP_KINDS, FT_PROFILE_COUNTERS = FT_OP_KINDS + 1 };

typedef enum ft_epilogue {
  FT_EPILOGUE_NONE = 0,
  FT_EPILOGUE_ADD,       // residual += product, but for skipped rows
  FT_EPILOGUE_SILU_GLU,  // outputs[0] = silu(outputs[0]) * outputs[1]
  FT_EPILOGUE_GELU_GLU,  // outputs[0] = gelu_tanh(outputs[0]) * outputs[1]
  FT_EPILOGUE_STORE_KV,  // of q, k, v: norms, rotation, scaling, write of k and v to the pages
} ft_epilogue;

typedef enum ft_part { FT_PART_NONE = 0, FT_PART_ATTENTION, FT_PART_FEED_FORWARD } ft_part;

/// Rows of the token embedding as the file holds them.
typedef struct ft_embedding {
  ft_type type;
  const void *source;  // [vocabulary, row_bytes]
  size_t row_bytes;
  float scale;
} ft_embedding;

typedef struct ft_op {
  ft_op_kind kind;
  int32_t layer;
  ft_part part;         // which skip mask applies to the residual addition
  bool selected;        // runs over the selected rows only
  bool candidates;      // FT_OP_MATMUL: only the row groups that hold candidates
  int32_t input;        // buffer
  int32_t output;       // buffer, or -1: only the activations are needed
  int32_t columns;      // width of a row of `input`
  int32_t activations;  // index of the activations read or written
  int32_t matrix_count;
  const ft_matrix *matrices[3];
  const float *biases[3];      // [rows of the matrix], or NULL
  int32_t outputs[3];          // buffers
  int32_t output_columns[3];   // first column written
  ft_epilogue epilogue;
  int32_t residual;            // buffer that FT_EPILOGUE_ADD adds to
  int32_t quantized;           // activations that a GLU epilogue fills from outputs[0], or -1
  const float *weight;         // norm weights [columns]
  const float *query_norm;     // [head_dimension], or NULL
  const float *key_norm;
  float epsilon;
  float scale;                 // of the queries, or of the embedding
  int32_t rope;                // rotary table
  int32_t window;              // sliding window in positions, 0 for none
} ft_op;

/// Shape of the attention, the same for all layers.
typedef struct ft_attention_shape {
  int32_t heads;
  int32_t kv_heads;
  int32_t head_dimension;   // a multiple of 8
  int32_t rope_dimension;   // rotated part of a head, even
  bool rope_interleaved;    // pairs (2i, 2i+1); otherwise (i, i + rope_dimension / 2)
  ft_kv_type kv_type;
  size_t page_layer_stride; // bytes of one layer in a page
  size_t page_head_stride;  // bytes of one key/value head in a layer
} ft_attention_shape;

typedef struct ft_rope {
  const float *frequencies;  // [rope_dimension / 2] radians per position
  float magnitude;           // factor on cosines and sines (yarn)
} ft_rope;

/// One node of the forest.
typedef struct ft_row {
  int32_t token;       // or -1 - r: row r of the given embeddings
  int32_t position;    // rotary position
  int32_t slot;        // where its key and value go
  int32_t contiguous;  // it sees slots 0 ..< contiguous ...
  int32_t tail_begin;  // ... and then tails[tail_begin ..< tail_begin + tail_count], in path order
  int32_t tail_count;
} ft_row;

/// The rows of one sequence.
typedef struct ft_sequence {
  int32_t row_begin;
  int32_t row_count;
  uint8_t *const *pages;  // page table
} ft_sequence;

typedef struct ft_plan {
  const ft_op *ops;
  int32_t op_count;
  ft_embedding embedding;
  ft_attention_shape attention;
  const ft_rope *ropes;
  int32_t rope_count;
} ft_plan;

/// All that changes from pass to pass.
typedef struct ft_pass {
  const ft_row *rows;
  int32_t row_count;
  const int32_t *tails;
  const ft_sequence *sequences;
  int32_t sequence_count;
  const int32_t *selected;  // rows whose logits are asked for
  int32_t selected_count;
  const int32_t *candidates;  // rows of the head that logits are asked for, ascending, each once
  int32_t candidate_count;
  const int32_t *candidate_groups;  // the groups of FT_GROUP_ROWS that hold them, the same
  int32_t candidate_group_count;
  const float *embeddings;  // given rows
  const uint8_t *skip_attention;     // [layer, row_count] or NULL
  const uint8_t *skip_feed_forward;
  float *const *buffers;             // [rows, strides[i]] each
  const size_t *strides;
  const ft_activations *activations;
  float *const *rope_tables;         // [rows, rope_dimension] each: cosines, then sines
  float *partials;                   // [units, spans, FT_LINES, padded head + 16]
  size_t partial_capacity;           // in floats
  uint8_t *scratch;                  // [workers, ft_plan_scratch_bytes]
  uint64_t *profile;                 // [FT_PROFILE_COUNTERS] nanoseconds, or NULL
} ft_pass;

/// Scratch bytes that each worker needs.
size_t ft_plan_scratch_bytes(const ft_plan *plan);

/// Floats of `partials` below which a pass whose longest context is `positions` is never split by
/// spans.
size_t ft_plan_partial_floats(const ft_plan *plan, int32_t positions);

/// Bytes of one key/value head of one layer in a page.
size_t ft_kv_head_bytes(ft_kv_type type, int32_t head_dimension);

/// Runs the pass on all workers of `pool` and returns when it is done. Nothing is allocated.
void ft_plan_run(ft_pool *pool, const ft_plan *plan, const ft_pass *pass);

/// Copies the key and value of slot `from` to slot `to` in every layer of one sequence.
void ft_kv_move_slot(const ft_attention_shape *shape, int32_t layers, uint8_t *const *pages,
                     int32_t from, int32_t to);

/// Writes given keys and values (already rotated), [kv_heads, head_dimension] each, to a slot.
void ft_kv_write(const ft_attention_shape *shape, uint8_t *const *pages, int32_t layer,
                 int32_t slot, const float *keys, const float *values);
/// Reads them back as floats.
void ft_kv_read(const ft_attention_shape *shape, uint8_t *const *pages, int32_t layer,
                int32_t slot, float *keys, float *values);

/// Index of the largest value, the lowest index among equals; -1 if any value is NaN.
int32_t ft_argmax(const float *values, int32_t count);

#endif
