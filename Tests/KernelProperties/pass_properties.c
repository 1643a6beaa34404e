#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "properties.h"

// Properties of whole operations, run as plans of one or two operations.

/// Runs `ops` over `pass` with the given buffers on `threads` workers.
static void run_plan(ft_plan *plan, ft_pass *pass, int32_t threads, int32_t positions) {
  const guarded scratch =
      guarded_make(ft_plan_scratch_bytes(plan) * (size_t)threads, 64);
  pass->partial_capacity = ft_plan_partial_floats(plan, positions);
  const guarded partials = guarded_make(pass->partial_capacity * sizeof(float) + 64, 64);
  pass->scratch = scratch.pointer;
  pass->partials = partials.pointer;
  ft_pool *pool = ft_pool_create(threads);
  ft_plan_run(pool, plan, pass);
  ft_pool_destroy(pool);
  guarded_free(scratch);
  guarded_free(partials);
}

// MARK: Attention

enum { HEADS = 4, KV_HEADS = 2, MAXIMUM_POSITIONS = 640, PAGES = MAXIMUM_POSITIONS / FT_PAGE_SLOTS };

/// Keys and values of one sequence and layer.
typedef struct memory {
  ft_attention_shape shape;
  guarded pages[PAGES];
  uint8_t *table[PAGES];
} memory;

static void memory_make(memory *own, ft_kv_type type, int32_t dimension) {
  own->shape = (ft_attention_shape){
      .heads = HEADS,
      .kv_heads = KV_HEADS,
      .head_dimension = dimension,
      .kv_type = type,
      .page_head_stride = ft_kv_head_bytes(type, dimension),
      .page_layer_stride = KV_HEADS * ft_kv_head_bytes(type, dimension),
  };
  for (int page = 0; page < PAGES; page++) {
    own->pages[page] = guarded_make(own->shape.page_layer_stride, 64);
    // What no row may see must be able to do harm.
    memset(own->pages[page].pointer, 0x7F, own->shape.page_layer_stride);
    own->table[page] = own->pages[page].pointer;
  }
}

static void memory_free(memory *own) {
  for (int page = 0; page < PAGES; page++) guarded_free(own->pages[page]);
}

static void memory_write(memory *own, int32_t slot, const float *keys, const float *values) {
  ft_kv_write(&own->shape, own->table, 0, slot, keys, values);
}

/// Attention of `count` rows; `queries` and `out` are [count, HEADS * dimension].
static void attend(memory *own, const ft_row *rows, const int32_t *tails, int32_t count,
                   const float *queries, float *out, int32_t window, int32_t threads) {
  const size_t width = (size_t)HEADS * (size_t)own->shape.head_dimension;
  ft_op ops[2] = {{.kind = FT_OP_ATTENTION, .input = 0, .output = 1, .window = window},
                  {.kind = FT_OP_ATTENTION_MERGE, .input = 0, .output = 1, .window = window}};
  ft_plan plan = {.ops = ops, .op_count = 2, .attention = own->shape};
  const ft_sequence sequence = {.row_begin = 0, .row_count = count, .pages = own->table};
  float *input = malloc((size_t)count * width * sizeof(float));
  memcpy(input, queries, (size_t)count * width * sizeof(float));
  float *buffers[] = {input, out};
  const size_t strides[] = {width, width};
  ft_pass pass = {.rows = rows,
                  .row_count = count,
                  .tails = tails,
                  .sequences = &sequence,
                  .sequence_count = 1,
                  .buffers = buffers,
                  .strides = strides};
  run_plan(&plan, &pass, threads, MAXIMUM_POSITIONS);
  free(input);
}

static float *random_floats(size_t count, float scale) {
  float *values = malloc(count * sizeof(float));
  for (size_t i = 0; i < count; i++) values[i] = random_unit() * scale;
  return values;
}

/// Largest error of one row's attention over positions low ..< high, relative to values of 1.
static double attention_error(const float *query, const float *keys, const float *values,
                              int32_t low, int32_t high, int32_t dimension, const float *found) {
  double worst = 0;
  for (int head = 0; head < HEADS; head++) {
    const int kv_head = head / (HEADS / KV_HEADS);
    double sum = 0, total[256] = {0}, largest = -INFINITY;
    for (int pass = 0; pass < 2; pass++) {
      for (int32_t p = low; p < high; p++) {
        const size_t at = ((size_t)p * KV_HEADS + (size_t)kv_head) * (size_t)dimension;
        double score = 0;
        for (int d = 0; d < dimension; d++) {
          score += (double)query[head * dimension + d] * (double)keys[at + (size_t)d];
        }
        if (pass == 0) {
          largest = score > largest ? score : largest;
          continue;
        }
        const double weight = exp(score - largest);
        sum += weight;
        for (int d = 0; d < dimension; d++) total[d] += weight * (double)values[at + (size_t)d];
      }
    }
    for (int d = 0; d < dimension; d++) {
      const double error = fabs((double)found[head * dimension + d] - total[d] / sum);
      worst = error > worst || isnan(error) ? error : worst;
    }
  }
  return worst;
}

static const char *kv_name(ft_kv_type type) {
  return type == FT_KV_F32 ? "f32" : type == FT_KV_F16 ? "f16" : "q8";
}

void attention_is_exact(void) {
  static const int32_t lengths[] = {1, 9, 64, 200, 300, 555};
  static const double limits[] = {1e-5, 3e-3, 6e-2};
  ft_isa sets[8];
  const int32_t set_count = available_sets(sets);
  for (int32_t set = 0; set < set_count; set++) {
    use_set(sets[set]);
    for (ft_kv_type type = FT_KV_F32; type <= FT_KV_Q8; type++) {
      const int32_t dimension = type == FT_KV_F16 ? 40 : 64;
      const size_t width = (size_t)KV_HEADS * (size_t)dimension;
      random_seed(700 + (uint64_t)type);
      float *keys = random_floats(MAXIMUM_POSITIONS * width, 1);
      float *values = random_floats(MAXIMUM_POSITIONS * width, 1);
      float *query = random_floats((size_t)HEADS * (size_t)dimension, 0.7f);
      float *found = random_floats((size_t)HEADS * (size_t)dimension, 1);
      memory own;
      memory_make(&own, type, dimension);
      for (int32_t p = 0; p < MAXIMUM_POSITIONS; p++) {
        memory_write(&own, p, keys + (size_t)p * width, values + (size_t)p * width);
      }
      for (int i = 0; i < 6; i++) {
        const int32_t window = i % 2 == 1 ? 100 : 0;
        const ft_row row = {.position = lengths[i] - 1, .contiguous = lengths[i]};
        attend(&own, &row, NULL, 1, query, found, window, 1);
        const int32_t low = window > 0 && lengths[i] > window ? lengths[i] - window : 0;
        const double error =
            attention_error(query, keys, values, low, lengths[i], dimension, found);
        if (!(error < limits[type])) {
          fail("attention over %s on %s: error %g at %d positions, window %d", kv_name(type),
               ft_isa_name(sets[set]), error, lengths[i], window);
        }
      }
      memory_free(&own);
      free(keys);
      free(values);
      free(query);
      free(found);
    }
  }
}

/// A random tree above a prefix: node i lies in slot prefix + i.
typedef struct tree {
  int32_t prefix, count;
  int32_t parents[32];  // -1: the prefix
  ft_row rows[32];
  int32_t tails[32 * 32];
} tree;

static int32_t path_to(const tree *own, int32_t node, int32_t path[32]) {
  int32_t depth = 0, reversed[32];
  for (int32_t at = node; at >= 0; at = own->parents[at]) reversed[depth++] = at;
  for (int32_t i = 0; i < depth; i++) path[i] = reversed[depth - 1 - i];
  return depth;
}

static void tree_make(tree *own, int32_t prefix, int32_t count) {
  own->prefix = prefix;
  own->count = count;
  int32_t tail = 0;
  for (int32_t node = 0; node < count; node++) {
    own->parents[node] = random_between(node > 3 ? node - 4 : -1, node - 1);
    int32_t path[32];
    const int32_t depth = path_to(own, node, path);
    int32_t aligned = 0;
    while (aligned < depth && path[aligned] == aligned) aligned++;
    own->rows[node] = (ft_row){.position = prefix + depth - 1,
                               .slot = prefix + node,
                               .contiguous = prefix + aligned,
                               .tail_begin = tail,
                               .tail_count = depth - aligned};
    for (int32_t i = aligned; i < depth; i++) own->tails[tail++] = prefix + path[i];
  }
}

static void check_tree(ft_kv_type type, int32_t prefix, int32_t count, int32_t window) {
  const int32_t dimension = 32;
  const size_t width = (size_t)KV_HEADS * (size_t)dimension;
  const size_t line = (size_t)HEADS * (size_t)dimension;
  tree own;
  tree_make(&own, prefix, count);
  float *keys = random_floats(((size_t)prefix + 32) * width, 1);
  float *values = random_floats(((size_t)prefix + 32) * width, 1);
  float *queries = random_floats(32 * line, 0.7f);
  memory whole, chain;
  memory_make(&whole, type, dimension);
  memory_make(&chain, type, dimension);
  for (int32_t p = 0; p < prefix + count; p++) {
    memory_write(&whole, p, keys + (size_t)p * width, values + (size_t)p * width);
    if (p < prefix) memory_write(&chain, p, keys + (size_t)p * width, values + (size_t)p * width);
  }
  // Each node as plain decoding would reach it: its ancestors in the slots after the prefix.
  float *expected = random_floats(32 * line, 1), *found = random_floats(32 * line, 1);
  for (int32_t node = 0; node < count; node++) {
    int32_t path[32];
    const int32_t depth = path_to(&own, node, path);
    for (int32_t i = 0; i < depth; i++) {
      const size_t at = (size_t)(prefix + path[i]) * width;
      memory_write(&chain, prefix + i, keys + at, values + at);
    }
    const ft_row row = {.position = prefix + depth - 1, .contiguous = prefix + depth};
    attend(&chain, &row, NULL, 1, queries + (size_t)node * line, expected + (size_t)node * line,
           window, 1);
  }
  for (int32_t threads = 1; threads <= 3; threads++) {
    attend(&whole, own.rows, own.tails, count, queries, found, window, threads);
    for (size_t i = 0; i < (size_t)count * line; i++) {
      if (memcmp(found + i, expected + i, sizeof(float)) == 0) continue;
      fail("attention over %s on %s: node %zu of a tree of %d on %d positions, %d threads, window "
           "%d: %a, its chain %a",
           kv_name(type), ft_isa_name(ft_isa_current()), i / line, count, prefix, threads, window,
           (double)found[i], (double)expected[i]);
    }
  }
  memory_free(&whole);
  memory_free(&chain);
  free(keys);
  free(values);
  free(queries);
  free(expected);
  free(found);
}

void trees_equal_chains(void) {
  ft_isa sets[8];
  const int32_t set_count = available_sets(sets);
  for (int32_t set = 0; set < set_count; set++) {
    for (ft_kv_type type = FT_KV_F32; type <= FT_KV_Q8; type++) {
      random_seed(800 + (uint64_t)type);
      for (int round = 0; round < 4; round++) {
        // Across the borders of pages (64) and of spans (256), and from nothing.
        static const int32_t prefixes[] = {0, 60, 250, 505};
        use_set(sets[set]);
        check_tree(type, prefixes[round], 4 + 6 * round, 0);
        check_tree(type, prefixes[round], 9, 37);
      }
    }
  }
}

// MARK: Norms, gates, the largest value

static void check_norm(int32_t count) {
  float *x = random_floats((size_t)count, 3), *weight = random_floats((size_t)count, 1);
  float *out = random_floats((size_t)count, 1);
  float *buffers[] = {x, out};
  const size_t strides[] = {(size_t)count, (size_t)count};
  ft_op op = {.kind = FT_OP_NORM,
              .input = 0,
              .output = 1,
              .columns = count,
              .activations = -1,
              .weight = weight,
              .epsilon = 1e-5f};
  const ft_row row = {.contiguous = 1};
  ft_plan plan = {.ops = &op, .op_count = 1, .attention = {.heads = 1, .kv_heads = 1, .head_dimension = 8}};
  ft_pass pass = {.rows = &row, .row_count = 1, .buffers = buffers, .strides = strides};
  run_plan(&plan, &pass, 1, 1);
  double squares = 0;
  for (int32_t i = 0; i < count; i++) squares += (double)x[i] * (double)x[i];
  const double scale = 1 / sqrt(squares / count + 1e-5);
  for (int32_t i = 0; i < count; i++) {
    const double expected = (double)x[i] * scale * (double)weight[i];
    if (!(fabs((double)out[i] - expected) < 1e-5)) {
      fail("RMSNorm on %s: value %d of %d is %g, expected %g", ft_isa_name(ft_isa_current()), i,
           count, (double)out[i], expected);
    }
  }
  free(x);
  free(weight);
  free(out);
}

/// silu(x G) * (x U) with one input column: gate and up are the columns of G and U.
static void check_gate(bool gelu, int32_t count) {
  const element_type *type = &element_types[0];
  packed gate = packed_random(type, count, 1, -1), up = packed_random(type, count, 1, -1);
  float x = 6;
  float *gates = random_floats((size_t)count, 1), *ups = random_floats((size_t)count, 1);
  float *buffers[] = {&x, gates, ups};
  const size_t strides[] = {1, (size_t)count, (size_t)count};
  const guarded memory = guarded_make(ft_activations_bytes(1, 1), 64);
  ft_activations activations;
  ft_activations_init(&activations, memory.pointer, 1, 1);
  ft_activations_quantize(&activations, &x, 1, 0, 1);
  ft_op op = {.kind = FT_OP_MATMUL,
              .input = 0,
              .output = -1,
              .columns = 1,
              .matrix_count = 2,
              .matrices = {&gate.matrix, &up.matrix},
              .outputs = {1, 2},
              .epilogue = gelu ? FT_EPILOGUE_GELU_GLU : FT_EPILOGUE_SILU_GLU,
              .quantized = -1};
  const ft_row row = {.contiguous = 1};
  ft_plan plan = {.ops = &op, .op_count = 1, .attention = {.heads = 1, .kv_heads = 1, .head_dimension = 8}};
  ft_pass pass = {.rows = &row,
                  .row_count = 1,
                  .buffers = buffers,
                  .strides = strides,
                  .activations = &activations};
  run_plan(&plan, &pass, 2, 1);
  for (int32_t i = 0; i < count; i++) {
    const double g = (double)x * (double)gate.weights[i], u = (double)x * (double)up.weights[i];
    const double argument = gelu ? 1.5957691216057308 * (g + 0.044715 * g * g * g) : g;
    const double expected = g / (1 + exp(-argument)) * u;
    if (!(fabs((double)gates[i] - expected) < 1e-5 * (1 + fabs(expected)))) {
      fail("%s gate on %s: output %d is %g, expected %g", gelu ? "GELU" : "SiLU",
           ft_isa_name(ft_isa_current()), i, (double)gates[i], expected);
    }
  }
  packed_free(&gate);
  packed_free(&up);
  guarded_free(memory);
  free(gates);
  free(ups);
}

static void check_argmax(int32_t count) {
  const guarded memory = guarded_make((size_t)count * sizeof(float), 4);
  float *values = memory.pointer;
  for (int32_t i = 0; i < count; i++) values[i] = random_unit();
  const int32_t first = random_between(0, count - 1), second = random_between(first, count - 1);
  values[first] = values[second] = 2;
  if (ft_argmax(values, count) != first) {
    fail("the largest of %d values is at %d, found %d", count, first, ft_argmax(values, count));
  }
  values[count - 1] = NAN;
  if (ft_argmax(values, count) != -1) fail("NaN among %d values is not seen", count);
  guarded_free(memory);
}

void vector_operations_are_exact(void) {
  ft_isa sets[8];
  const int32_t set_count = available_sets(sets);
  for (int32_t set = 0; set < set_count; set++) {
    use_set(sets[set]);
    random_seed(900);
    for (int32_t count = 1; count <= 67; count += 11) {
      check_norm(count);
      check_argmax(count);
    }
    check_norm(576);
    check_argmax(1000);
    check_gate(false, 43);
    check_gate(true, 43);
  }
}
