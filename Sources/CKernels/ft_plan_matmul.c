#include <string.h>

#include "ft_run.h"

// Products and what follows them in the columns just written: biases, residual sums, gates with the
// quantising of what they let through, rotation and storage of keys and values. All of it is done by
// whoever did the product, while the numbers are in its cache.

static const double BYTES_PER_NS = 20, PRODUCTS_PER_NS = 100;

static bool is_gated(const ft_op *op) {
  return op->epilogue == FT_EPILOGUE_SILU_GLU || op->epilogue == FT_EPILOGUE_GELU_GLU;
}

static bool stores(const ft_op *op) { return op->epilogue == FT_EPILOGUE_STORE_KV; }

static int32_t groups_of_head(const ft_run *run) {
  return run->plan->attention.head_dimension / FT_GROUP_ROWS;
}

// MARK: Sizes

int32_t ft_matmul_units(const ft_run *run) {
  const ft_op *op = run->op;
  if (op->candidates) return run->pass->candidate_group_count;
  if (is_gated(op)) return ft_matrix_groups(op->matrices[0]);
  int32_t groups = 0;
  for (int32_t m = 0; m < op->matrix_count; ++m) groups += ft_matrix_groups(op->matrices[m]);
  return stores(op) ? groups / groups_of_head(run) : groups;
}

double ft_matmul_unit_cost(const ft_run *run) {
  const ft_op *op = run->op;
  const ft_matrix *matrix = op->matrices[0];
  double bytes = (double)matrix->bytes / ft_matrix_groups(matrix);
  double products = (double)matrix->columns * FT_GROUP_ROWS * ft_op_rows(op, run->pass);
  double cost = bytes / BYTES_PER_NS + products / PRODUCTS_PER_NS;
  return is_gated(op) ? 2 * cost : stores(op) ? groups_of_head(run) * cost : cost;
}

int32_t ft_matmul_grain(const ft_run *run) {
  if (stores(run->op)) return 1;
  // Gated columns are quantised in blocks of 32; other kernels take two groups at a time.
  return is_gated(run->op) ? 4 : 2;
}

const void *ft_matmul_start(const ft_run *run, const ft_op *op, int32_t worker) {
  int32_t groups = 0, offset = 0;
  int32_t count = is_gated(op) ? 1 : op->matrix_count;
  for (int32_t m = 0; m < count; ++m) groups += ft_matrix_groups(op->matrices[m]);
  int32_t first = (int32_t)((int64_t)groups * worker / run->workers);
  for (int32_t m = 0; m < count; offset += ft_matrix_groups(op->matrices[m++])) {
    const ft_matrix *matrix = op->matrices[m];
    int32_t own = ft_matrix_groups(matrix);
    if (first >= offset + own) continue;
    return (const char *)matrix->data + matrix->bytes / own * (size_t)(first - offset);
  }
  return NULL;
}

// MARK: Columns

/// Biases and residual sums.
static void finish_columns(const ft_run *run, int32_t matrix, int32_t first, int32_t count) {
  const ft_pass *pass = run->pass;
  const ft_op *op = run->op;
  const uint8_t *skip = ft_skip_mask(op, pass);
  bool adds = op->epilogue == FT_EPILOGUE_ADD;
  if (!adds && !op->biases[matrix]) return;
  for (int32_t r = 0; r < ft_op_rows(op, pass); ++r) {
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
  ft_matmul(weights, &run->activations, ft_op_rows(op, pass),
            pass->buffers[output] + op->output_columns[matrix], pass->strides[output], begin, end,
            ft_run_scratch(run, worker));
  int32_t first = begin * FT_GROUP_ROWS, last = end * FT_GROUP_ROWS;
  if (last > weights->rows) last = weights->rows;
  finish_columns(run, matrix, first, last - first);
}

/// Gate and up have the same shape: the same groups of both are computed together, and quantised for
/// the product that follows.
static void run_gated(const ft_run *run, int32_t worker, int32_t begin, int32_t end) {
  const ft_op *op = run->op;
  const ft_pass *pass = run->pass;
  int32_t rows = ft_op_rows(op, pass), output = op->outputs[0];
  multiply_groups(run, worker, 0, begin, end);
  multiply_groups(run, worker, 1, begin, end);
  int32_t first = begin * FT_GROUP_ROWS, last = end * FT_GROUP_ROWS;
  if (last > op->matrices[0]->rows) last = op->matrices[0]->rows;
  for (int32_t r = 0; first < last && r < rows; ++r) {
    run->ops->gated(ft_buffer_row(pass, output, r) + first,
                    ft_buffer_row(pass, op->outputs[1], r) + first, last - first,
                    op->epilogue == FT_EPILOGUE_GELU_GLU);
  }
  if (op->quantized < 0) return;
  ft_activations activations = ft_lay_out(pass, op->quantized, rows);
  ft_activations_quantize_blocks(&activations, pass->buffers[output], pass->strides[output], 0,
                                 rows, first / 32, ft_ceil_div(last, 32));
}

/// Groups that hold candidates, one after the other in the output's rows.
static void multiply_candidates(const ft_run *run, int32_t worker, int32_t begin, int32_t end) {
  const ft_op *op = run->op;
  const ft_pass *pass = run->pass;
  ft_matmul_groups(op->matrices[0], &run->activations, ft_op_rows(op, pass),
                   pass->buffers[op->outputs[0]], pass->strides[op->outputs[0]],
                   pass->candidate_groups, begin, end, ft_run_scratch(run, worker));
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

static uint8_t *stored_head(const ft_run *run, int32_t row, int32_t kv_head) {
  const ft_attention_shape *shape = &run->plan->attention;
  const ft_sequence *sequence = &run->pass->sequences[sequence_of_row(run->pass, row)];
  return sequence->pages[run->pass->rows[row].slot / FT_PAGE_SLOTS] +
         shape->page_layer_stride * (size_t)run->op->layer +
         shape->page_head_stride * (size_t)kv_head;
}

/// What follows the product of heads `begin` ..< `end` of queries (matrix 0), keys (1) or values (2).
static void finish_heads(const ft_run *run, int32_t matrix, int32_t begin, int32_t end) {
  const ft_attention_shape *shape = &run->plan->attention;
  const ft_op *op = run->op;
  int32_t dimension = shape->head_dimension;
  for (int32_t r = 0; r < run->pass->row_count; ++r) {
    float *row = ft_buffer_row(run->pass, op->outputs[matrix], r) + op->output_columns[matrix];
    int32_t slot = run->pass->rows[r].slot % FT_PAGE_SLOTS;
    for (int32_t h = begin; h < end; ++h) {
      float *head = row + (size_t)h * dimension;
      if (matrix == 0) {
        prepare_head(run, head, r, op->query_norm, op->scale);
      } else if (matrix == 1) {
        prepare_head(run, head, r, op->key_norm, 1.0f);
        run->ops->write_key(stored_head(run, r, h), shape->kv_type, dimension, slot, head);
      } else {
        run->ops->write_value(stored_head(run, r, h), shape->kv_type, dimension, slot, head);
      }
    }
  }
}

void ft_run_matmul(const ft_run *run, int32_t worker, int32_t begin, int32_t end) {
  const ft_op *op = run->op;
  if (op->candidates) {
    multiply_candidates(run, worker, begin, end);
    return;
  }
  if (is_gated(op)) {
    run_gated(run, worker, begin, end);
    return;
  }
  int32_t size = stores(op) ? groups_of_head(run) : 1, offset = 0;
  for (int32_t m = 0; m < op->matrix_count; ++m) {
    int32_t units = ft_matrix_groups(op->matrices[m]) / size;
    int32_t from = begin - offset, to = end - offset;
    from = from < 0 ? 0 : from;
    to = to > units ? units : to;
    multiply_groups(run, worker, m, from * size, to * size);
    if (stores(op)) finish_heads(run, m, from, to);
    offset += units;
  }
}
