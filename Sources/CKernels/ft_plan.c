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

/// Rows from which on norms and quantising are shared out by rows.
#define ROWS_APART 128
/// Columns that activations are quantised together in.
#define FT_COLUMN_BLOCK 32

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

/// In place: candidates ascend, so that a value is read before its place is written.
static void run_gather(const ft_run *run, int32_t begin, int32_t end) {
  const ft_pass *pass = run->pass;
  for (int32_t r = begin; r < end; ++r) {
    float *row = ft_buffer_row(pass, run->op->output, r);
    int32_t group = 0;
    for (int32_t i = 0; i < pass->candidate_count; ++i) {
      int32_t candidate = pass->candidates[i];
      while (pass->candidate_groups[group] != candidate / FT_GROUP_ROWS) ++group;
      row[i] = row[group * FT_GROUP_ROWS + candidate % FT_GROUP_ROWS];
    }
  }
}

// MARK: Norms and quantising
//
// Few rows are shared out by columns: a product's columns are mostly still in the cache of the
// worker that made them, and threads that wrote single rows would share cache lines.

/// Rows and blocks of columns.
typedef struct {
  int32_t row_begin, row_end, block_begin, block_end;
} part;

static part part_of(const ft_run *run, int32_t begin, int32_t end) {
  if (!run->by_columns) {
    int32_t blocks = ft_ceil_div(run->op->columns, FT_COLUMN_BLOCK);
    return (part){begin, end, 0, blocks};
  }
  return (part){0, ft_op_rows(run->op, run->pass), begin, end};
}

/// The activations are in the caches of all that multiplied them before: asks for all lines that
/// will be written at once, since stores wait for one another.
static void own_activations(const ft_run *run) {
  const ft_activations *a = &run->activations;
  size_t bytes = ft_activations_bytes(a->columns, a->capacity);
  if (bytes > 8192) return;
  for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch((const char *)a->values + i, 1, 3);
}

static void run_norm(const ft_run *run, int32_t worker, int32_t begin, int32_t end) {
  const ft_op *op = run->op;
  bool whole = begin == 0 && end == run->units;
  if (op->activations >= 0 && whole) own_activations(run);
  part p = part_of(run, begin, end);
  int32_t first = p.block_begin * FT_COLUMN_BLOCK, last = p.block_end * FT_COLUMN_BLOCK;
  if (last > op->columns) last = op->columns;
  float *scratch = (float *)ft_run_scratch(run, worker);
  ft_activations activations = run->activations;
  for (int32_t r = p.row_begin; r < p.row_end; ++r) {
    const float *in = ft_buffer_row(run->pass, op->input, r);
    float scale = run->ops->rms_scale(in, op->columns, op->epsilon);
    float *out = op->output >= 0 ? ft_buffer_row(run->pass, op->output, r) : scratch;
    run->ops->rms_apply(in + first, op->weight + first, scale, out + first, last - first);
    if (op->activations < 0) continue;
    // One row from wherever it lies: a stride of 0 makes every row that one.
    ft_activations_quantize_blocks(&activations, out, 0, r, r + 1, p.block_begin, p.block_end);
  }
}

static void run_quantize(const ft_run *run, int32_t begin, int32_t end) {
  const ft_op *op = run->op;
  if (begin == 0 && end == run->units) own_activations(run);
  part p = part_of(run, begin, end);
  ft_activations activations = run->activations;
  ft_activations_quantize_blocks(&activations, run->pass->buffers[op->input],
                                 run->pass->strides[op->input], p.row_begin, p.row_end,
                                 p.block_begin, p.block_end);
}

static void run_norm_add(const ft_run *run, int32_t begin, int32_t end) {
  const ft_op *op = run->op;
  const uint8_t *skip = ft_skip_mask(op, run->pass);
  for (int32_t r = begin; r < end; ++r) {
    if (skip && skip[r]) continue;
    run->ops->rms_norm_add(ft_buffer_row(run->pass, op->input, r), op->weight,
                           ft_buffer_row(run->pass, op->output, r), op->columns, op->epsilon);
  }
}

// MARK: The pass

static void run_units(const ft_run *run, int32_t worker, int32_t begin, int32_t end) {
  switch (run->op->kind) {
    case FT_OP_EMBED: run_embed(run, begin, end); break;
    case FT_OP_ROPE_TABLE: run_rope_table(run, begin, end); break;
    case FT_OP_NORM: run_norm(run, worker, begin, end); break;
    case FT_OP_QUANTIZE: run_quantize(run, begin, end); break;
    case FT_OP_MATMUL: ft_run_matmul(run, worker, begin, end); break;
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
  int32_t rows = run->units = ft_op_rows(op, pass);
  double columns = op->columns;
  run->by_columns = false;
  switch (op->kind) {
    case FT_OP_MATMUL: run->units = ft_matmul_units(run); return ft_matmul_unit_cost(run);
    case FT_OP_ROPE_TABLE: return 25.0 * shape->rope_dimension * run->plan->rope_count;
    case FT_OP_ATTENTION:
      run->split = ft_split_attention(run, op);
      run->units = ft_attention_pieces(run);
      return ft_attention_piece_cost(run, op);
    case FT_OP_ATTENTION_MERGE:
      run->units = ft_merge_pieces(run);
      return 0.1 * shape->head_dimension * run->split.spans;
    case FT_OP_SELECT: run->units = pass->selected_count; return columns * 0.05;
    case FT_OP_GATHER: run->units = pass->selected_count; return pass->candidate_count * 1.0;
    case FT_OP_NORM:
    case FT_OP_QUANTIZE:
      if (rows >= ROWS_APART) return columns * 0.5;
      run->by_columns = true;
      run->units = ft_ceil_div(op->columns, FT_COLUMN_BLOCK);
      return rows * FT_COLUMN_BLOCK * 0.5;
    case FT_OP_EMBED: return columns * 0.5;
    default: return columns * 0.2;
  }
}

/// Prepares the operation's activations for just the rows of this pass.
static void lay_out_activations(ft_run *run) {
  const ft_op *op = run->op;
  const ft_pass *pass = run->pass;
  bool reads = op->kind == FT_OP_MATMUL;
  bool writes = op->kind == FT_OP_NORM || op->kind == FT_OP_QUANTIZE;
  if (op->activations < 0 || (!reads && !writes)) return;
  run->activations = ft_lay_out(pass, op->activations, ft_op_rows(op, pass));
  run->activations.source = pass->buffers[op->input];
  run->activations.source_stride = pass->strides[op->input];
}

/// Units to an item: pieces long enough to be worth taking, small parts in one piece.
static int32_t grain_of(const ft_run *run, double cost) {
  int32_t own = ft_ceil_div(run->units, run->workers);
  // A norm's rows are summed up once for every item.
  if (run->by_columns) return own;
  int32_t grain = (int32_t)(PIECE_NS / (cost + 1)) + 1;
  if (grain > own / 2) grain = own;
  int32_t fewest = ft_ceil_div(run->units, FT_MAX_ITEMS);
  if (grain < fewest) grain = fewest;
  int32_t together = run->op->kind == FT_OP_MATMUL ? ft_matmul_grain(run) : 1;
  return ft_ceil_div(grain, together) * together;
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

/// The weights of the product that comes next, where `worker` is likely to begin with them.
static const void *look_ahead(void *context, int32_t worker) {
  const ft_run *run = context;
  int32_t last = run->next_op + 4 < run->plan->op_count ? run->next_op + 4 : run->plan->op_count;
  for (int32_t i = run->next_op; i < last; ++i) {
    const ft_op *op = &run->plan->ops[i];
    if (op->kind == FT_OP_ATTENTION) return NULL;
    if (op->kind == FT_OP_MATMUL) return ft_matmul_start(run, op, worker);
  }
  return NULL;
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
  static const ft_staged_job job = {.next = next_stage, .run = run_items, .ahead = look_ahead};
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
