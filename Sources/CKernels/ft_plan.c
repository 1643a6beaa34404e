#include "include/ft_plan.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "ft_run.h"

#pragma STDC FP_CONTRACT OFF

// Estimated nanoseconds, to tell what is worth sharing out and in pieces of what size. Nothing but
// speed depends on them.
static const double SERIAL_NS = 1500;  // work below this is done by whoever prepares the stages
static const double PIECE_NS = 1500;   // an item of a product is at least this long
static const double BYTES_PER_NS = 20, PRODUCTS_PER_NS = 100;

static int32_t op_rows(const ft_op *op, const ft_pass *pass) {
  return op->selected ? pass->selected_count : pass->row_count;
}

static const uint8_t *skip_mask(const ft_op *op, const ft_pass *pass) {
  const uint8_t *mask = op->part == FT_PART_ATTENTION      ? pass->skip_attention
                        : op->part == FT_PART_FEED_FORWARD ? pass->skip_feed_forward
                                                           : NULL;
  return mask ? mask + (size_t)op->layer * pass->row_count : NULL;
}

// MARK: Rows in, rows out

static void run_embed(const ft_run *run, int32_t begin, int32_t end) {
  const ft_op *op = run->op;
  const ft_embedding *embedding = &run->plan->embedding;
  for (int32_t r = begin; r < end; ++r) {
    float *out = ft_buffer_row(run->pass, op->output, r);
    int32_t token = run->pass->rows[r].token;
    if (token < 0) {
      size_t given = (size_t)(-1 - token);
      memcpy(out, run->pass->embeddings + given * op->columns,
             (size_t)op->columns * sizeof(float));
      continue;
    }
    const uint8_t *source = (const uint8_t *)embedding->source + embedding->row_bytes * token;
    ft_dequantize(embedding->type, source, out, (size_t)op->columns);
    if (op->scale != 1.0f) run->ops->scale(out, op->scale, op->columns);
  }
}

static void run_rope_table(const ft_run *run, int32_t begin, int32_t end) {
  int32_t half = run->plan->attention.rope_dimension / 2;
  for (int32_t t = 0; t < run->plan->rope_count; ++t) {
    const ft_rope *rope = &run->plan->ropes[t];
    for (int32_t r = begin; r < end; ++r) {
      float *table = run->pass->rope_tables[t] + (size_t)r * half * 2;
      for (int32_t i = 0; i < half; ++i) {
        double angle = (double)run->pass->rows[r].position * (double)rope->frequencies[i];
        table[i] = (float)cos(angle) * rope->magnitude;
        table[half + i] = (float)sin(angle) * rope->magnitude;
      }
    }
  }
}

static void copy_row(const ft_run *run, int32_t from, int32_t to) {
  const ft_op *op = run->op;
  memcpy(ft_buffer_row(run->pass, op->output, to), ft_buffer_row(run->pass, op->input, from),
         (size_t)op->columns * sizeof(float));
}

static void run_select(const ft_run *run, int32_t begin, int32_t end) {
  for (int32_t i = begin; i < end; ++i) copy_row(run, run->pass->selected[i], i);
}

static void run_copy(const ft_run *run, int32_t begin, int32_t end) {
  for (int32_t r = begin; r < end; ++r) copy_row(run, r, r);
}

/// In place: candidates ascend, so that a column is read before it is written.
static void run_gather(const ft_run *run, int32_t begin, int32_t end) {
  const ft_pass *pass = run->pass;
  for (int32_t r = begin; r < end; ++r) {
    float *row = ft_buffer_row(pass, run->op->output, r);
    for (int32_t i = 0; i < pass->candidate_count; ++i) row[i] = row[pass->candidates[i]];
  }
}

// MARK: Norms

static void quantize_rows(const ft_run *run, int32_t buffer, int32_t begin, int32_t end) {
  ft_activations activations = run->activations;  // quantising sets the source
  ft_activations_quantize(&activations, run->pass->buffers[buffer], run->pass->strides[buffer],
                          begin, end);
}

static void run_norm(const ft_run *run, int32_t begin, int32_t end) {
  const ft_op *op = run->op;
  for (int32_t r = begin; r < end; ++r) {
    run->ops->rms_norm(ft_buffer_row(run->pass, op->input, r), op->weight,
                       ft_buffer_row(run->pass, op->output, r), op->columns, op->epsilon);
  }
  if (op->activations >= 0) quantize_rows(run, op->output, begin, end);
}

static void run_norm_add(const ft_run *run, int32_t begin, int32_t end) {
  const ft_op *op = run->op;
  const uint8_t *skip = skip_mask(op, run->pass);
  for (int32_t r = begin; r < end; ++r) {
    if (skip && skip[r]) continue;
    run->ops->rms_norm_add(ft_buffer_row(run->pass, op->input, r), op->weight,
                           ft_buffer_row(run->pass, op->output, r), op->columns, op->epsilon);
  }
}

// MARK: Products

/// What follows the product in the columns that were just written.
static void finish_columns(const ft_run *run, int32_t matrix, int32_t first, int32_t count) {
  const ft_pass *pass = run->pass;
  const ft_op *op = run->op;
  const uint8_t *skip = skip_mask(op, pass);
  bool adds = op->epilogue == FT_EPILOGUE_ADD;
  if (!adds && !op->biases[matrix]) return;
  for (int32_t r = 0; r < op_rows(op, pass); ++r) {
    float *out = ft_buffer_row(pass, op->outputs[matrix], r) + op->output_columns[matrix] + first;
    if (op->biases[matrix]) run->ops->add(out, op->biases[matrix] + first, count);
    if (!adds || (skip && skip[r])) continue;
    run->ops->add(ft_buffer_row(pass, op->residual, r) + first, out, count);
  }
}

static void multiply_groups(const ft_run *run, int32_t worker, int32_t matrix, int32_t begin,
                            int32_t end) {
  if (begin >= end) return;
  const ft_op *op = run->op;
  const ft_matrix *weights = op->matrices[matrix];
  const ft_pass *pass = run->pass;
  int32_t output = op->outputs[matrix];
  ft_matmul(weights, &run->activations, op_rows(op, pass),
            pass->buffers[output] + op->output_columns[matrix], pass->strides[output], begin, end,
            ft_run_scratch(run, worker));
  int32_t first = begin * FT_GROUP_ROWS, last = end * FT_GROUP_ROWS;
  if (last > weights->rows) last = weights->rows;
  finish_columns(run, matrix, first, last - first);
}

static bool is_gated(const ft_op *op) {
  return op->epilogue == FT_EPILOGUE_SILU_GLU || op->epilogue == FT_EPILOGUE_GELU_GLU;
}

/// Gate and up have the same shape: the same groups of both are computed together.
static void run_gated(const ft_run *run, int32_t worker, int32_t begin, int32_t end) {
  const ft_op *op = run->op;
  multiply_groups(run, worker, 0, begin, end);
  multiply_groups(run, worker, 1, begin, end);
  int32_t first = begin * FT_GROUP_ROWS, last = end * FT_GROUP_ROWS;
  if (last > op->matrices[0]->rows) last = op->matrices[0]->rows;
  for (int32_t r = 0; first < last && r < op_rows(op, run->pass); ++r) {
    run->ops->gated(ft_buffer_row(run->pass, op->outputs[0], r) + first,
                    ft_buffer_row(run->pass, op->outputs[1], r) + first, last - first,
                    op->epilogue == FT_EPILOGUE_GELU_GLU);
  }
}

/// Groups of a list, neighbours together.
static void multiply_listed(const ft_run *run, int32_t worker, int32_t begin, int32_t end) {
  const int32_t *groups = run->pass->candidate_groups;
  for (int32_t i = begin, next; i < end; i = next) {
    for (next = i + 1; next < end && groups[next] == groups[next - 1] + 1; ++next) {
    }
    multiply_groups(run, worker, 0, groups[i], groups[next - 1] + 1);
  }
}

static void run_matmul(const ft_run *run, int32_t worker, int32_t begin, int32_t end) {
  const ft_op *op = run->op;
  if (op->candidates) {
    multiply_listed(run, worker, begin, end);
    return;
  }
  if (is_gated(op)) {
    run_gated(run, worker, begin, end);
    return;
  }
  int32_t offset = 0;
  for (int32_t m = 0; m < op->matrix_count; ++m) {
    int32_t groups = ft_matrix_groups(op->matrices[m]);
    int32_t from = begin - offset, to = end - offset;
    multiply_groups(run, worker, m, from < 0 ? 0 : from, to > groups ? groups : to);
    offset += groups;
  }
}

static int32_t matmul_groups(const ft_op *op, const ft_pass *pass) {
  if (op->candidates) return pass->candidate_group_count;
  if (is_gated(op)) return ft_matrix_groups(op->matrices[0]);
  int32_t groups = 0;
  for (int32_t m = 0; m < op->matrix_count; ++m) groups += ft_matrix_groups(op->matrices[m]);
  return groups;
}

static double group_cost(const ft_op *op, const ft_pass *pass) {
  const ft_matrix *matrix = op->matrices[0];
  double bytes = (double)matrix->bytes / ft_matrix_groups(matrix);
  double products = (double)matrix->columns * FT_GROUP_ROWS * op_rows(op, pass);
  double cost = bytes / BYTES_PER_NS + products / PRODUCTS_PER_NS;
  return is_gated(op) ? 2 * cost : cost;
}

// MARK: Keys and values

static int32_t sequence_of_row(const ft_pass *pass, int32_t row) {
  int32_t s = 0;
  while (s + 1 < pass->sequence_count && pass->sequences[s + 1].row_begin <= row) ++s;
  return s;
}

/// Norm, rotation and scale of one query or key head.
static void prepare_head(const ft_run *run, float *head, int32_t row, const float *norm,
                         float scale) {
  const ft_attention_shape *shape = &run->plan->attention;
  const ft_op *op = run->op;
  if (norm) run->ops->rms_norm(head, norm, head, shape->head_dimension, op->epsilon);
  const float *table = run->pass->rope_tables[op->rope] + (size_t)row * shape->rope_dimension;
  run->ops->rotate(head, table, shape->rope_dimension, shape->rope_interleaved);
  if (scale != 1.0f) run->ops->scale(head, scale, shape->head_dimension);
}

static void store_key_value(const ft_run *run, int32_t row, int32_t kv_head, const float *key,
                            const float *value) {
  const ft_attention_shape *shape = &run->plan->attention;
  const ft_sequence *sequence = &run->pass->sequences[sequence_of_row(run->pass, row)];
  int32_t slot = run->pass->rows[row].slot;
  uint8_t *page = sequence->pages[slot / FT_PAGE_SLOTS];
  size_t offset =
      shape->page_layer_stride * run->op->layer + shape->page_head_stride * (size_t)kv_head;
  run->ops->write_kv(page + offset, shape->kv_type, shape->head_dimension, slot % FT_PAGE_SLOTS,
                     key, value);
}

/// Units are the query and key heads of all rows.
static void run_store_kv(const ft_run *run, int32_t begin, int32_t end) {
  const ft_attention_shape *shape = &run->plan->attention;
  const ft_op *op = run->op;
  int32_t dimension = shape->head_dimension, heads = shape->heads, kv_heads = shape->kv_heads;
  for (int32_t unit = begin; unit < end; ++unit) {
    int32_t row = unit / (heads + kv_heads), h = unit % (heads + kv_heads);
    float *head = ft_buffer_row(run->pass, op->input, row) + (size_t)h * dimension;
    if (h < heads) {
      prepare_head(run, head, row, op->query_norm, op->scale);
      continue;
    }
    prepare_head(run, head, row, op->key_norm, 1.0f);
    store_key_value(run, row, h - heads, head, head + (size_t)kv_heads * dimension);
  }
}

// MARK: The pass

static void run_units(const ft_run *run, int32_t worker, int32_t begin, int32_t end) {
  switch (run->op->kind) {
    case FT_OP_EMBED: run_embed(run, begin, end); break;
    case FT_OP_ROPE_TABLE: run_rope_table(run, begin, end); break;
    case FT_OP_NORM: run_norm(run, begin, end); break;
    case FT_OP_QUANTIZE: quantize_rows(run, run->op->input, begin, end); break;
    case FT_OP_MATMUL: run_matmul(run, worker, begin, end); break;
    case FT_OP_STORE_KV: run_store_kv(run, begin, end); break;
    case FT_OP_ATTENTION: ft_run_attention(run, worker, begin, end); break;
    case FT_OP_ATTENTION_MERGE: ft_run_attention_merge(run, worker, begin, end); break;
    case FT_OP_NORM_ADD: run_norm_add(run, begin, end); break;
    case FT_OP_SELECT: run_select(run, begin, end); break;
    case FT_OP_COPY: run_copy(run, begin, end); break;
    case FT_OP_GATHER: run_gather(run, begin, end); break;
    case FT_OP_KINDS: break;
  }
}

/// Units of work of the operation, and about how long one takes.
static double measure_op(ft_run *run) {
  const ft_op *op = run->op;
  const ft_pass *pass = run->pass;
  const ft_attention_shape *shape = &run->plan->attention;
  run->units = op_rows(op, pass);
  double columns = op->columns;
  switch (op->kind) {
    case FT_OP_MATMUL: run->units = matmul_groups(op, pass); return group_cost(op, pass);
    case FT_OP_ROPE_TABLE: return 25.0 * shape->rope_dimension * run->plan->rope_count;
    case FT_OP_STORE_KV:
      run->units = pass->row_count * (shape->heads + shape->kv_heads);
      return 1.0 * shape->head_dimension;
    case FT_OP_ATTENTION:
      run->split = ft_split_attention(run, op);
      run->units = ft_attention_pieces(run);
      return ft_attention_piece_cost(run, op);
    case FT_OP_ATTENTION_MERGE:
      run->units = ft_merge_pieces(run);
      return 0.1 * shape->head_dimension * run->split.spans;
    case FT_OP_SELECT: run->units = pass->selected_count; return columns * 0.05;
    case FT_OP_GATHER: run->units = pass->selected_count; return pass->candidate_count * 1.0;
    case FT_OP_EMBED:
    case FT_OP_NORM:
    case FT_OP_QUANTIZE: return columns * 0.6;
    default: return columns * 0.2;
  }
}

/// Prepares the operation's activations for just the rows of this pass, so that few rows lie close
/// together.
static void lay_out_activations(ft_run *run) {
  const ft_op *op = run->op;
  bool reads = op->kind == FT_OP_MATMUL, writes = op->kind == FT_OP_NORM || op->kind == FT_OP_QUANTIZE;
  if (op->activations < 0 || (!reads && !writes)) return;
  const ft_pass *pass = run->pass;
  run->activations = pass->activations[op->activations];
  ft_activations_init(&run->activations, run->activations.values, run->activations.columns,
                      op_rows(op, pass));
  run->activations.source = pass->buffers[op->input];
  run->activations.source_stride = pass->strides[op->input];
}

/// Units to an item: pieces long enough to be worth taking, small parts in one piece.
static int32_t grain_of(const ft_run *run, double cost) {
  int32_t own = ft_ceil_div(run->units, run->workers);
  int32_t grain = (int32_t)(PIECE_NS / (cost + 1)) + 1;
  if (grain > own / 2) grain = own;
  int32_t fewest = ft_ceil_div(run->units, FT_MAX_ITEMS);
  return grain < fewest ? fewest : grain;
}

static uint64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void profile_op(ft_run *run) {
  if (!run->pass->profile || !run->op) return;
  uint64_t now = nanoseconds();
  run->pass->profile[run->op->kind] += now - run->before;
  run->before = now;
}

static void profile_work(const ft_run *run, uint64_t before) {
  __atomic_fetch_add(&run->pass->profile[FT_PROFILE_WORK], nanoseconds() - before,
                     __ATOMIC_RELAXED);
}

static void run_items(void *context, int32_t worker, int32_t begin, int32_t end) {
  const ft_run *run = context;
  uint64_t before = run->pass->profile ? nanoseconds() : 0;
  int32_t last = end * run->grain;
  run_units(run, worker, begin * run->grain, last < run->units ? last : run->units);
  if (run->pass->profile) profile_work(run, before);
}

static bool next_stage(void *context, int32_t worker, ft_stage *stage) {
  ft_run *run = context;
  profile_op(run);
  while (run->next_op < run->plan->op_count) {
    run->op = &run->plan->ops[run->next_op++];
    lay_out_activations(run);
    double cost = measure_op(run);
    bool shared = run->op->kind == FT_OP_MATMUL || cost * run->units > SERIAL_NS;
    if (run->workers > 1 && run->units > 1 && shared) {
      run->grain = grain_of(run, cost);
      stage->items = ft_ceil_div(run->units, run->grain);
      stage->largest = (int32_t)(8 * PIECE_NS / (cost * run->grain)) + 1;
      return true;
    }
    run->grain = run->units;
    if (run->units > 0) run_items(run, worker, 0, 1);
    profile_op(run);
  }
  return false;
}

size_t ft_plan_scratch_bytes(const ft_plan *plan) {
  size_t attention = ft_attention_scratch_bytes(plan->attention.head_dimension);
  return FT_MATMUL_SCRATCH + (attention + 4095) / 4096 * 4096;
}

void ft_plan_run(ft_pool *pool, const ft_plan *plan, const ft_pass *pass) {
  static const ft_staged_job job = {.next = next_stage, .run = run_items};
  ft_run run = {
      .plan = plan,
      .pass = pass,
      .ops = ft_ops_current(),
      .workers = ft_pool_workers(pool),
      .scratch_bytes = ft_plan_scratch_bytes(plan),
      .before = pass->profile ? nanoseconds() : 0,
  };
  ft_pool_run_stages(pool, &job, &run);
}
