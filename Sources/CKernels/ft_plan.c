#include "include/ft_plan.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "ft_ops.h"

#pragma STDC FP_CONTRACT OFF

typedef struct {
  ft_pool *pool;
  const ft_plan *plan;
  const ft_pass *pass;
  const ft_ops *ops;
} plan_job;

/// One worker's view of the pass.
typedef struct {
  const ft_plan *plan;
  const ft_pass *pass;
  const ft_ops *ops;
  int32_t worker;
  int32_t workers;
  uint8_t *scratch;
} lane;

static inline int32_t ceil_div(int32_t a, int32_t b) { return (a + b - 1) / b; }

/// Contiguous share of `count` items.
static void share(const lane *l, int32_t count, int32_t *begin, int32_t *end) {
  *begin = (int32_t)((int64_t)count * l->worker / l->workers);
  *end = (int32_t)((int64_t)count * (l->worker + 1) / l->workers);
}

static float *buffer_row(const ft_pass *pass, int32_t buffer, int32_t row) {
  return pass->buffers[buffer] + pass->strides[buffer] * (size_t)row;
}

static int32_t op_rows(const ft_op *op, const ft_pass *pass) {
  return op->selected ? pass->selected_count : pass->row_count;
}

// MARK: Rows in, rows out

static void run_embed(const lane *l, const ft_op *op) {
  const ft_embedding *embedding = &l->plan->embedding;
  int32_t begin, end;
  share(l, l->pass->row_count, &begin, &end);
  for (int32_t r = begin; r < end; ++r) {
    float *out = buffer_row(l->pass, op->output, r);
    int32_t token = l->pass->rows[r].token;
    if (token < 0) {
      size_t given = (size_t)(-1 - token);
      memcpy(out, l->pass->embeddings + given * op->columns, (size_t)op->columns * sizeof(float));
      continue;
    }
    const uint8_t *source = (const uint8_t *)embedding->source + embedding->row_bytes * token;
    ft_dequantize(embedding->type, source, out, (size_t)op->columns);
    if (op->scale != 1.0f) l->ops->scale(out, op->scale, op->columns);
  }
}

static void run_rope_table(const lane *l) {
  int32_t half = l->plan->attention.rope_dimension / 2, begin, end;
  share(l, l->pass->row_count, &begin, &end);
  for (int32_t t = 0; t < l->plan->rope_count; ++t) {
    const ft_rope *rope = &l->plan->ropes[t];
    for (int32_t r = begin; r < end; ++r) {
      float *table = l->pass->rope_tables[t] + (size_t)r * half * 2;
      for (int32_t i = 0; i < half; ++i) {
        double angle = (double)l->pass->rows[r].position * (double)rope->frequencies[i];
        table[i] = (float)cos(angle) * rope->magnitude;
        table[half + i] = (float)sin(angle) * rope->magnitude;
      }
    }
  }
}

static void run_select(const lane *l, const ft_op *op) {
  int32_t begin, end;
  share(l, l->pass->selected_count, &begin, &end);
  for (int32_t i = begin; i < end; ++i) {
    memcpy(buffer_row(l->pass, op->output, i),
           buffer_row(l->pass, op->input, l->pass->selected[i]),
           (size_t)op->columns * sizeof(float));
  }
}

static void run_copy(const lane *l, const ft_op *op) {
  int32_t begin, end;
  share(l, op_rows(op, l->pass), &begin, &end);
  for (int32_t r = begin; r < end; ++r) {
    memcpy(buffer_row(l->pass, op->output, r), buffer_row(l->pass, op->input, r),
           (size_t)op->columns * sizeof(float));
  }
}

// MARK: Norms and products

/// The op's activations laid out for just the rows of this pass, so that few rows lie close
/// together. A worker's own copy: quantising sets the source.
static ft_activations pass_activations(const lane *l, const ft_op *op) {
  ft_activations activations = l->pass->activations[op->activations];
  ft_activations_init(&activations, activations.values, activations.columns,
                      op_rows(op, l->pass));
  return activations;
}

static void quantize_rows(const lane *l, const ft_op *op, int32_t buffer, int32_t begin,
                          int32_t end) {
  ft_activations activations = pass_activations(l, op);
  ft_activations_quantize(&activations, l->pass->buffers[buffer], l->pass->strides[buffer], begin,
                          end);
}

static void run_norm(const lane *l, const ft_op *op) {
  int32_t begin, end;
  share(l, op_rows(op, l->pass), &begin, &end);
  for (int32_t r = begin; r < end; ++r) {
    l->ops->rms_norm(buffer_row(l->pass, op->input, r), op->weight,
                     buffer_row(l->pass, op->output, r), op->columns, op->epsilon);
  }
  if (op->activations >= 0) quantize_rows(l, op, op->output, begin, end);
}

static void run_quantize(const lane *l, const ft_op *op) {
  int32_t begin, end;
  share(l, op_rows(op, l->pass), &begin, &end);
  quantize_rows(l, op, op->input, begin, end);
}

static void run_norm_add(const lane *l, const ft_op *op) {
  const uint8_t *skip = op->part == FT_PART_ATTENTION      ? l->pass->skip_attention
                        : op->part == FT_PART_FEED_FORWARD ? l->pass->skip_feed_forward
                                                           : NULL;
  int32_t begin, end;
  share(l, op_rows(op, l->pass), &begin, &end);
  for (int32_t r = begin; r < end; ++r) {
    if (skip && skip[(size_t)op->layer * l->pass->row_count + r]) continue;
    l->ops->rms_norm_add(buffer_row(l->pass, op->input, r), op->weight,
                         buffer_row(l->pass, op->output, r), op->columns, op->epsilon);
  }
}

/// What follows the product in the columns this worker has just written.
static void finish_columns(const lane *l, const ft_op *op, int32_t matrix, int32_t first,
                           int32_t count, int32_t rows) {
  const ft_pass *pass = l->pass;
  const uint8_t *skip = op->part == FT_PART_ATTENTION      ? pass->skip_attention
                        : op->part == FT_PART_FEED_FORWARD ? pass->skip_feed_forward
                                                           : NULL;
  for (int32_t r = 0; r < rows; ++r) {
    float *out = buffer_row(pass, op->outputs[matrix], r) + op->output_columns[matrix] + first;
    if (op->biases[matrix]) l->ops->add(out, op->biases[matrix] + first, count);
    if (op->epilogue != FT_EPILOGUE_ADD) continue;
    if (skip && skip[(size_t)op->layer * pass->row_count + r]) continue;
    l->ops->add(buffer_row(pass, op->residual, r) + first, out, count);
  }
}

static void multiply_groups(const lane *l, const ft_op *op, int32_t matrix, int32_t begin,
                            int32_t end) {
  if (begin >= end) return;
  const ft_matrix *weights = op->matrices[matrix];
  const ft_pass *pass = l->pass;
  int32_t rows = op_rows(op, pass), output = op->outputs[matrix];
  ft_activations activations = pass_activations(l, op);
  activations.source = pass->buffers[op->input];
  activations.source_stride = pass->strides[op->input];
  ft_matmul(weights, &activations, rows, pass->buffers[output] + op->output_columns[matrix],
            pass->strides[output], begin, end, l->scratch);
  int32_t first = begin * FT_GROUP_ROWS, last = end * FT_GROUP_ROWS;
  if (last > weights->rows) last = weights->rows;
  finish_columns(l, op, matrix, first, last - first, rows);
}

/// Gate and up have the same shape: a worker computes the same groups of both.
static void run_gated(const lane *l, const ft_op *op) {
  int32_t begin, end;
  share(l, ft_matrix_groups(op->matrices[0]), &begin, &end);
  multiply_groups(l, op, 0, begin, end);
  multiply_groups(l, op, 1, begin, end);
  int32_t first = begin * FT_GROUP_ROWS, last = end * FT_GROUP_ROWS;
  if (last > op->matrices[0]->rows) last = op->matrices[0]->rows;
  for (int32_t r = 0; first < last && r < op_rows(op, l->pass); ++r) {
    l->ops->gated(buffer_row(l->pass, op->outputs[0], r) + first,
                  buffer_row(l->pass, op->outputs[1], r) + first, last - first,
                  op->epilogue == FT_EPILOGUE_GELU_GLU);
  }
}

static void run_matmul(const lane *l, const ft_op *op) {
  if (op->epilogue == FT_EPILOGUE_SILU_GLU || op->epilogue == FT_EPILOGUE_GELU_GLU) {
    run_gated(l, op);
    return;
  }
  int32_t total = 0, begin, end, offset = 0;
  for (int32_t m = 0; m < op->matrix_count; ++m) total += ft_matrix_groups(op->matrices[m]);
  share(l, total, &begin, &end);
  for (int32_t m = 0; m < op->matrix_count; ++m) {
    int32_t groups = ft_matrix_groups(op->matrices[m]);
    int32_t from = begin - offset, to = end - offset;
    multiply_groups(l, op, m, from < 0 ? 0 : from, to > groups ? groups : to);
    offset += groups;
  }
}

// MARK: Attention

static int32_t sequence_of_row(const ft_pass *pass, int32_t row) {
  int32_t s = 0;
  while (s + 1 < pass->sequence_count && pass->sequences[s + 1].row_begin <= row) ++s;
  return s;
}

/// Norm, rotation and scale of one query or key head.
static void prepare_head(const lane *l, const ft_op *op, float *head, int32_t row,
                         const float *norm, float scale) {
  const ft_attention_shape *shape = &l->plan->attention;
  if (norm) l->ops->rms_norm(head, norm, head, shape->head_dimension, op->epsilon);
  const float *table = l->pass->rope_tables[op->rope] + (size_t)row * shape->rope_dimension;
  l->ops->rotate(head, table, shape->rope_dimension, shape->rope_interleaved);
  if (scale != 1.0f) l->ops->scale(head, scale, shape->head_dimension);
}

static void run_store_kv(const lane *l, const ft_op *op) {
  const ft_attention_shape *shape = &l->plan->attention;
  const ft_pass *pass = l->pass;
  int32_t dimension = shape->head_dimension, heads = shape->heads, kv_heads = shape->kv_heads;
  int32_t begin, end;
  share(l, pass->row_count * (heads + kv_heads), &begin, &end);
  for (int32_t unit = begin; unit < end; ++unit) {
    int32_t row = unit / (heads + kv_heads), h = unit % (heads + kv_heads);
    float *line = buffer_row(pass, op->input, row), *head = line + (size_t)h * dimension;
    if (h < heads) {
      prepare_head(l, op, head, row, op->query_norm, op->scale);
      continue;
    }
    prepare_head(l, op, head, row, op->key_norm, 1.0f);
    const ft_sequence *sequence = &pass->sequences[sequence_of_row(pass, row)];
    int32_t slot = pass->rows[row].slot;
    uint8_t *page = sequence->pages[slot / FT_PAGE_SLOTS];
    size_t offset = shape->page_layer_stride * op->layer + shape->page_head_stride * (h - heads);
    l->ops->write_kv(page + offset, shape->kv_type, dimension, slot % FT_PAGE_SLOTS, head,
                     head + (size_t)kv_heads * dimension);
  }
}

/// Attention is cut into units: up to FT_LINES lines of one sequence and key/value head.
typedef struct {
  int32_t sequence;
  int32_t kv_head;
  int32_t first_line;  // row in sequence * group + head in group
} attention_unit;

static int32_t sequence_tiles(const lane *l, const ft_sequence *sequence) {
  int32_t group = l->plan->attention.heads / l->plan->attention.kv_heads;
  return ceil_div(sequence->row_count * group, FT_LINES);
}

static int32_t unit_count(const lane *l) {
  int32_t units = 0;
  for (int32_t s = 0; s < l->pass->sequence_count; ++s) {
    units += sequence_tiles(l, &l->pass->sequences[s]) * l->plan->attention.kv_heads;
  }
  return units;
}

static attention_unit find_unit(const lane *l, int32_t index) {
  int32_t s = 0, tiles = sequence_tiles(l, &l->pass->sequences[0]);
  while (index >= tiles * l->plan->attention.kv_heads) {
    index -= tiles * l->plan->attention.kv_heads;
    tiles = sequence_tiles(l, &l->pass->sequences[++s]);
  }
  return (attention_unit){s, index / tiles, index % tiles * FT_LINES};
}

static int32_t row_positions(const ft_row *row) { return row->contiguous + row->tail_count; }

/// Spans of the longest row of the pass.
static int32_t span_count(const ft_pass *pass) {
  int32_t longest = 0;
  for (int32_t r = 0; r < pass->row_count; ++r) {
    int32_t positions = row_positions(&pass->rows[r]);
    longest = positions > longest ? positions : longest;
  }
  return ceil_div(longest, FT_SPAN);
}

/// Few units over a long context are split by spans as well.
static bool splits_spans(const lane *l, int32_t spans) {
  size_t units = (size_t)unit_count(l);
  size_t floats = units * (size_t)spans * FT_LINES *
                  ft_partial_stride(l->plan->attention.head_dimension);
  return spans > 1 && units < (size_t)l->workers * 4 && floats <= l->pass->partial_capacity;
}

static ft_tile make_tile(const lane *l, const ft_op *op, attention_unit unit) {
  const ft_attention_shape *shape = &l->plan->attention;
  const ft_sequence *sequence = &l->pass->sequences[unit.sequence];
  int32_t group = shape->heads / shape->kv_heads;
  int32_t count = sequence->row_count * group - unit.first_line;
  ft_tile tile = {
      .count = count < FT_LINES ? count : FT_LINES,
      .pages = sequence->pages,
      .offset = shape->page_layer_stride * op->layer + shape->page_head_stride * unit.kv_head,
      .kv_type = shape->kv_type,
      .head_dimension = shape->head_dimension,
  };
  for (int32_t i = 0; i < tile.count; ++i) {
    int32_t line = unit.first_line + i, r = sequence->row_begin + line / group;
    const ft_row *row = &l->pass->rows[r];
    int32_t head = unit.kv_head * group + line % group;
    int32_t low = op->window > 0 ? row_positions(row) - op->window : 0;
    tile.lines[i] = (ft_line){
        .query = buffer_row(l->pass, op->input, r) + (size_t)head * shape->head_dimension,
        .tail = l->pass->tails + row->tail_begin,
        .tail_count = row->tail_count,
        .contiguous = row->contiguous,
        .low = low > 0 ? low : 0,
    };
  }
  return tile;
}

static float *line_output(const lane *l, int32_t output, attention_unit unit, int32_t line) {
  const ft_attention_shape *shape = &l->plan->attention;
  int32_t group = shape->heads / shape->kv_heads, at = unit.first_line + line;
  int32_t row = l->pass->sequences[unit.sequence].row_begin + at / group;
  int32_t head = unit.kv_head * group + at % group;
  return buffer_row(l->pass, output, row) + (size_t)head * shape->head_dimension;
}

static void clear_totals(float *totals, int32_t count, size_t stride, int32_t dimension) {
  for (int32_t i = 0; i < count; ++i) totals[i * stride + dimension + 1] = 0;
}

/// Scratch of attention: scores, then one span's sums, then the totals.
typedef struct {
  float *scores;
  float *partials;
  float *totals;
} attention_scratch;

static attention_scratch take_scratch(const lane *l) {
  size_t stride = ft_partial_stride(l->plan->attention.head_dimension);
  float *base = (float *)(l->scratch + FT_MATMUL_SCRATCH);
  return (attention_scratch){
      base, base + FT_LINES * FT_SPAN, base + FT_LINES * FT_SPAN + FT_LINES * stride};
}

static void attend_whole(const lane *l, const ft_op *op, int32_t index) {
  int32_t dimension = l->plan->attention.head_dimension;
  size_t stride = ft_partial_stride(dimension);
  attention_scratch scratch = take_scratch(l);
  attention_unit unit = find_unit(l, index);
  ft_tile tile = make_tile(l, op, unit);
  int32_t first = INT32_MAX, last = 0;
  for (int32_t i = 0; i < tile.count; ++i) {
    int32_t end = tile.lines[i].contiguous + tile.lines[i].tail_count;
    first = tile.lines[i].low < first ? tile.lines[i].low : first;
    last = end > last ? end : last;
  }
  clear_totals(scratch.totals, tile.count, stride, dimension);
  for (int32_t span = first / FT_SPAN; span < ceil_div(last, FT_SPAN); ++span) {
    l->ops->attend_span(&tile, span, scratch.scores, scratch.partials);
    for (int32_t i = 0; i < tile.count; ++i) {
      l->ops->merge(scratch.totals + i * stride, scratch.partials + i * stride, dimension);
    }
  }
  for (int32_t i = 0; i < tile.count; ++i) {
    l->ops->finish(scratch.totals + i * stride, line_output(l, op->output, unit, i), dimension);
  }
}

static float *span_partials(const lane *l, int32_t spans, int32_t unit, int32_t span) {
  size_t stride = ft_partial_stride(l->plan->attention.head_dimension);
  return l->pass->partials + ((size_t)unit * spans + span) * FT_LINES * stride;
}

static void run_attention(const lane *l, const ft_op *op) {
  int32_t units = unit_count(l), spans = span_count(l->pass);
  if (!splits_spans(l, spans)) {
    for (int32_t u = l->worker; u < units; u += l->workers) attend_whole(l, op, u);
    return;
  }
  attention_scratch scratch = take_scratch(l);
  for (int32_t item = l->worker; item < units * spans; item += l->workers) {
    int32_t u = item / spans, span = item % spans;
    ft_tile tile = make_tile(l, op, find_unit(l, u));
    l->ops->attend_span(&tile, span, scratch.scores, span_partials(l, spans, u, span));
  }
}

static void run_attention_merge(const lane *l, const ft_op *op) {
  int32_t units = unit_count(l), spans = span_count(l->pass);
  if (!splits_spans(l, spans)) return;
  int32_t dimension = l->plan->attention.head_dimension;
  size_t stride = ft_partial_stride(dimension);
  attention_scratch scratch = take_scratch(l);
  for (int32_t u = l->worker; u < units; u += l->workers) {
    attention_unit unit = find_unit(l, u);
    int32_t count = make_tile(l, op, unit).count;
    for (int32_t i = 0; i < count; ++i) {
      clear_totals(scratch.totals, 1, stride, dimension);
      for (int32_t span = 0; span < spans; ++span) {
        l->ops->merge(scratch.totals, span_partials(l, spans, u, span) + i * stride, dimension);
      }
      l->ops->finish(scratch.totals, line_output(l, op->output, unit, i), dimension);
    }
  }
}

// MARK: The pass

static void run_op(const lane *l, const ft_op *op) {
  switch (op->kind) {
    case FT_OP_EMBED: run_embed(l, op); break;
    case FT_OP_ROPE_TABLE: run_rope_table(l); break;
    case FT_OP_NORM: run_norm(l, op); break;
    case FT_OP_QUANTIZE: run_quantize(l, op); break;
    case FT_OP_MATMUL: run_matmul(l, op); break;
    case FT_OP_STORE_KV: run_store_kv(l, op); break;
    case FT_OP_ATTENTION: run_attention(l, op); break;
    case FT_OP_ATTENTION_MERGE: run_attention_merge(l, op); break;
    case FT_OP_NORM_ADD: run_norm_add(l, op); break;
    case FT_OP_SELECT: run_select(l, op); break;
    case FT_OP_COPY: run_copy(l, op); break;
    case FT_OP_KINDS: break;
  }
}

static uint64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/// Whether the next op reads what other workers write in this one. The rotary tables are read after
/// the barriers that follow; attention that is not split by spans leaves nothing to merge.
static bool needs_barrier(const lane *l, const ft_op *op) {
  if (op->kind == FT_OP_ROPE_TABLE) return false;
  if (op->kind == FT_OP_ATTENTION) return splits_spans(l, span_count(l->pass));
  return true;
}

static void run_worker(void *context, int32_t worker, int32_t workers) {
  const plan_job *job = context;
  lane l = {
      .plan = job->plan,
      .pass = job->pass,
      .ops = job->ops,
      .worker = worker,
      .workers = workers,
      .scratch = job->pass->scratch + ft_plan_scratch_bytes(job->plan) * (size_t)worker,
  };
  uint64_t *profile = worker == 0 ? job->pass->profile : NULL;
  uint64_t before = profile ? nanoseconds() : 0;
  for (int32_t i = 0; i < job->plan->op_count; ++i) {
    const ft_op *op = &job->plan->ops[i];
    run_op(&l, op);
    if (needs_barrier(&l, op)) ft_pool_barrier(job->pool);
    if (!profile) continue;
    uint64_t now = nanoseconds();
    profile[op->kind] += now - before;
    before = now;
  }
}

size_t ft_plan_scratch_bytes(const ft_plan *plan) {
  size_t floats = FT_LINES * FT_SPAN +
                  2 * FT_LINES * ft_partial_stride(plan->attention.head_dimension);
  return FT_MATMUL_SCRATCH + (floats * sizeof(float) + 4095) / 4096 * 4096;
}

size_t ft_plan_partial_floats(const ft_plan *plan, int32_t positions) {
  // Splitting stops at 4 units a worker; 16 workers' worth is the most that is kept.
  return (size_t)64 * ceil_div(positions, FT_SPAN) * FT_LINES *
         ft_partial_stride(plan->attention.head_dimension);
}

void ft_plan_run(ft_pool *pool, const ft_plan *plan, const ft_pass *pass) {
  plan_job job = {pool, plan, pass, ft_ops_current()};
  ft_pool_run(pool, run_worker, &job);
}
