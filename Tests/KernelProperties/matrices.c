#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "properties.h"

const element_type element_types[] = {
    {FT_TYPE_F32, "F32", false, false, {-1, -1}},   {FT_TYPE_F16, "F16", false, false, {0, -1}},
    {FT_TYPE_BF16, "BF16", false, false, {-1, -1}}, {FT_TYPE_Q4_0, "Q4_0", true, true, {0, -1}},
    {FT_TYPE_Q4_1, "Q4_1", true, true, {0, 2}},     {FT_TYPE_Q5_0, "Q5_0", true, true, {0, -1}},
    {FT_TYPE_Q5_1, "Q5_1", true, true, {0, 2}},     {FT_TYPE_Q8_0, "Q8_0", true, false, {0, -1}},
    {FT_TYPE_Q2_K, "Q2_K", false, false, {80, 82}}, {FT_TYPE_Q3_K, "Q3_K", true, false, {108, -1}},
    {FT_TYPE_Q4_K, "Q4_K", true, false, {0, 2}},    {FT_TYPE_Q5_K, "Q5_K", true, false, {0, 2}},
    {FT_TYPE_Q6_K, "Q6_K", true, false, {208, -1}}, {FT_TYPE_IQ4_NL, "IQ4_NL", true, false, {0, -1}},
};
const int element_type_count = sizeof element_types / sizeof element_types[0];

int32_t type_columns(const element_type *type, int32_t blocks) {
  switch (ft_type_block_elements(type->type)) {
    case 1: return 37 * blocks;
    case 32: return 32 * blocks;
    default: return 256 * ((blocks + 7) / 8);
  }
}

/// Plus or minus 2^-9 to 2^-6, as binary16.
static uint16_t random_half(void) {
  return (uint16_t)((random_bits() >> 63) << 15 | (uint64_t)random_between(6, 8) << 10 |
                    (random_bits() >> 54));
}

static void fill_blocks(const element_type *type, uint8_t *bytes, size_t blocks, int quants) {
  const size_t block_bytes = (size_t)ft_type_block_bytes(type->type);
  for (size_t i = 0; i < blocks * block_bytes; i++) {
    bytes[i] = quants >= 0 ? (uint8_t)quants : (uint8_t)(random_bits() >> 56);
  }
  for (size_t block = 0; block < blocks; block++) {
    uint8_t *own = bytes + block * block_bytes;
    for (int i = 0; i < 2 && type->half_offsets[i] >= 0; i++) {
      const uint16_t half = random_half();
      memcpy(own + type->half_offsets[i], &half, sizeof half);
    }
    if (type->type == FT_TYPE_F32 || type->type == FT_TYPE_BF16) {
      const float value = random_unit();
      memcpy(own, (const uint8_t *)&value + 4 - block_bytes, block_bytes);
    }
  }
}

packed packed_random(const element_type *type, int32_t rows, int32_t columns, int quants) {
  packed result = {.type = type};
  if (!ft_matrix_plan(&result.matrix, type->type, rows, columns, false)) {
    fail("%s: no plan for %d x %d", type->name, rows, columns);
  }
  const size_t count = (size_t)rows * (size_t)columns;
  const size_t blocks = count / (size_t)ft_type_block_elements(type->type);
  const size_t bytes = blocks * (size_t)ft_type_block_bytes(type->type);
  const guarded source = guarded_make(bytes, 1);
  fill_blocks(type, source.pointer, blocks, quants);
  result.data = guarded_make(result.matrix.bytes, 64);
  result.scratch = guarded_make(FT_MATMUL_SCRATCH, 64);
  result.weights = malloc(count * sizeof(float));
  ft_dequantize(type->type, source.pointer, result.weights, count);
  const int32_t groups = ft_matrix_groups(&result.matrix);
  ft_matrix_pack(&result.matrix, result.data.pointer, source.pointer, groups / 2, groups);
  ft_matrix_pack(&result.matrix, result.data.pointer, source.pointer, 0, groups / 2);
  result.matrix.data = result.data.pointer;
  guarded_free(source);
  return result;
}

void packed_free(packed *matrix) {
  guarded_free(matrix->data);
  guarded_free(matrix->scratch);
  free(matrix->weights);
}

/// What outputs hold before they are written: a NaN that no kernel makes.
static const uint32_t untouched = 0x7FEAAAAA;

typedef struct product_job {
  const packed *matrix;
  const ft_activations *activations;
  int32_t batch;
  float *out;
  size_t stride;
  ft_isa set;
} product_job;

static void run_groups(const product_job *job, int32_t begin, int32_t end) {
  const guarded scratch = guarded_make(FT_MATMUL_SCRATCH, 64);
  ft_matmul(&job->matrix->matrix, job->activations, job->batch, job->out, job->stride, begin, end,
            scratch.pointer);
  guarded_free(scratch);
}

static void run_share(void *context, int32_t worker, int32_t workers) {
  const product_job *job = context;
  const int32_t groups = ft_matrix_groups(&job->matrix->matrix);
  use_set(job->set);
  run_groups(job, groups * worker / workers, groups * (worker + 1) / workers);
}

static void run_product(const product_job *job, product_way way) {
  if (way.threads > 0) {
    ft_pool *pool = ft_pool_create(way.threads);
    ft_pool_run(pool, run_share, (void *)job);
    ft_pool_destroy(pool);
    return;
  }
  const int32_t groups = ft_matrix_groups(&job->matrix->matrix);
  run_groups(job, way.split, groups);
  if (way.split > 0) run_groups(job, 0, way.split);
}

float *multiply(const packed *matrix, const float *x, int32_t batch, product_way way) {
  const int32_t columns = matrix->matrix.columns, rows = matrix->matrix.rows;
  const size_t inputs = (size_t)batch * (size_t)columns;
  const guarded input = guarded_make(inputs * sizeof(float), 4);
  float *floats = input.pointer;
  for (int32_t b = 0; b < batch; b++) {
    const int32_t from = way.reversed ? batch - 1 - b : b;
    memcpy(floats + (size_t)b * (size_t)columns, x + (size_t)from * (size_t)columns,
           (size_t)columns * sizeof(float));
  }
  const int32_t capacity = way.capacity > 0 ? way.capacity : batch;
  const size_t bytes = ft_activations_bytes(columns, capacity);
  const guarded memory = guarded_make(bytes, 1);
  memset(memory.pointer, 0x5A, bytes);
  ft_activations activations;
  ft_activations_init(&activations, memory.pointer, columns, capacity);
  ft_activations_quantize(&activations, floats, (size_t)columns, batch / 2, batch);
  ft_activations_quantize(&activations, floats, (size_t)columns, 0, batch / 2);

  const size_t stride = (size_t)rows + (size_t)way.slack;
  const size_t outputs = (size_t)(batch - 1) * stride + (size_t)rows;
  const guarded output = guarded_make(outputs * sizeof(float), 4);
  float *out = output.pointer;
  for (size_t i = 0; i < outputs; i++) memcpy(out + i, &untouched, sizeof untouched);
  const product_job job = {matrix, &activations, batch, out, stride, ft_isa_current()};
  run_product(&job, way);

  float *result = malloc((size_t)batch * (size_t)rows * sizeof(float));
  for (size_t i = 0; i < outputs; i++) {
    const size_t row = i / stride, column = i % stride;
    uint32_t bits;
    memcpy(&bits, out + i, sizeof bits);
    if ((column >= (size_t)rows) != (bits == untouched)) {
      fail("%s on %s: output %zu of row %zu is %s", matrix->type->name,
           ft_isa_name(ft_isa_current()), column, row,
           bits == untouched ? "not written" : "written beyond the matrix");
    }
    if (column >= (size_t)rows) continue;
    const size_t target = way.reversed ? (size_t)batch - 1 - row : row;
    result[target * (size_t)rows + column] = out[i];
  }
  guarded_free(input);
  guarded_free(memory);
  guarded_free(output);
  return result;
}
