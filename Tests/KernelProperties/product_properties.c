#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "properties.h"

#define FOR_EVERY_SET(set)                              \
  ft_isa sets[8];                                       \
  const int32_t set_count = available_sets(sets);       \
  for (int32_t set = 0; set < set_count; set++)

static const char *set_name(void) { return ft_isa_name(ft_isa_current()); }

/// Integers that the quantiser keeps as they are: every 32 columns hold a 127.
static float *whole_activations(int32_t batch, int32_t columns) {
  float *x = malloc((size_t)batch * (size_t)columns * sizeof(float));
  for (int32_t i = 0; i < batch * columns; i++) {
    x[i] = i % columns % 32 == 0 ? 127 : (float)random_between(-127, 127);
  }
  return x;
}

static float *random_activations(int32_t batch, int32_t columns) {
  float *x = malloc((size_t)batch * (size_t)columns * sizeof(float));
  for (int32_t i = 0; i < batch * columns; i++) x[i] = random_unit() + random_unit();
  return x;
}

/// Root mean square of the outputs' errors over that of the norms of their terms.
static double relative_error(const packed *matrix, const float *x, const float *y, int32_t batch) {
  const int32_t rows = matrix->matrix.rows, columns = matrix->matrix.columns;
  double errors = 0, norms = 0;
  for (int32_t b = 0; b < batch; b++) {
    for (int32_t row = 0; row < rows; row++) {
      double value = 0;
      for (int32_t c = 0; c < columns; c++) {
        const double term =
            (double)matrix->weights[(size_t)row * (size_t)columns + (size_t)c] *
            (double)x[(size_t)b * (size_t)columns + (size_t)c];
        value += term;
        norms += term * term;
      }
      const double error = (double)y[(size_t)b * (size_t)rows + (size_t)row] - value;
      errors += error * error;
    }
  }
  return norms > 0 ? sqrt(errors / norms) : errors;
}

static void expect_bits(const packed *matrix, const float *found, const float *expected,
                        int32_t batch, const char *what) {
  const int32_t rows = matrix->matrix.rows;
  for (int32_t i = 0; i < batch * rows; i++) {
    if (memcmp(found + i, expected + i, sizeof(float)) == 0) continue;
    fail("%s on %s, %s: output %d of row %d is %a, expected %a (%d x %d, batch %d)",
         matrix->type->name, set_name(), what, i % rows, i / rows, (double)found[i],
         (double)expected[i], rows, matrix->matrix.columns, batch);
  }
}

static void expect_same(const packed *matrix, const float *x, const float *expected, int32_t batch,
                        product_way way, const char *what) {
  float *found = multiply(matrix, x, batch, way);
  expect_bits(matrix, found, expected, batch, what);
  free(found);
}

void products_are_exact(void) {
  FOR_EVERY_SET(set) {
    use_set(sets[set]);
    for (int t = 0; t < element_type_count; t++) {
      const element_type *type = &element_types[t];
      for (int round = 0; round < 5; round++) {
        random_seed((uint64_t)(100 * t + round));
        // The first rounds end in super-blocks of one and of seven blocks.
        const int32_t blocks = round == 0 ? 1 : round == 1 ? 15 : random_between(2, 20);
        packed matrix =
            packed_random(type, random_between(1, 26), type_columns(type, blocks), -1);
        const int32_t batch = random_between(1, 20);
        float *x = whole_activations(batch, matrix.matrix.columns);
        float *y = multiply(&matrix, x, batch, (product_way){0});
        const double error = relative_error(&matrix, x, y, batch);
        // 12-bit scales are off by up to 1/4094 of the largest; all else but float sums is exact.
        if (!(error < (type->rounds_scales ? 2e-3 : 1e-5))) {
          fail("%s on %s: relative error %g (%d x %d, batch %d)", type->name, set_name(), error,
               matrix.matrix.rows, matrix.matrix.columns, batch);
        }
        free(x);
        free(y);
        packed_free(&matrix);
      }
    }
  }
}

void rounding_is_explained(void) {
  FOR_EVERY_SET(set) {
    use_set(sets[set]);
    for (int t = 0; t < element_type_count; t++) {
      const element_type *type = &element_types[t];
      random_seed((uint64_t)(50 + t));
      packed matrix = packed_random(type, 24, type_columns(type, 16), -1);
      const int32_t batch = 4, columns = matrix.matrix.columns;
      float *x = random_activations(batch, columns);
      float *y = multiply(&matrix, x, batch, (product_way){0});
      // A group's step is its largest magnitude / 127, at most 2 / 127; rounding to it is off by
      // step / sqrt(12) in the root mean square, of values whose own is sqrt(2 / 3).
      const double step = 2.0 / 127, own = sqrt(2.0 / 3);
      const double limit = type->integer ? 1.3 * step / sqrt(12.0) / own + 1e-3 : 2e-6;
      const double error = relative_error(&matrix, x, y, batch);
      if (!(error < limit)) {
        fail("%s on %s: relative error %g of rounded activations, expected below %g", type->name,
             set_name(), error, limit);
      }
      if (type->integer && error < 1e-4) {
        fail("%s on %s: activations are not rounded to 8 bits (%g)", type->name, set_name(), error);
      }
      free(x);
      free(y);
      packed_free(&matrix);
    }
  }
}

void rows_do_not_depend_on_their_batch(void) {
  // Tiles have up to 64 rows.
  enum { LARGEST = 130 };
  static const int32_t more[] = {17, 33, 64, 65, LARGEST};
  FOR_EVERY_SET(set) {
    use_set(sets[set]);
    for (int t = 0; t < element_type_count; t++) {
      const element_type *type = &element_types[t];
      random_seed((uint64_t)(200 + t));
      packed matrix = packed_random(type, 19, type_columns(type, 11), -1);
      const int32_t rows = matrix.matrix.rows, columns = matrix.matrix.columns;
      float *x = random_activations(LARGEST, columns);
      float *alone = malloc((size_t)LARGEST * (size_t)rows * sizeof(float));
      for (int32_t b = 0; b < LARGEST; b++) {
        float *y = multiply(&matrix, x + (size_t)b * (size_t)columns, 1, (product_way){0});
        memcpy(alone + (size_t)b * (size_t)rows, y, (size_t)rows * sizeof(float));
        free(y);
      }
      for (int32_t i = 0; i < 21; i++) {
        const int32_t batch = i < 16 ? i + 1 : more[i - 16];
        expect_same(&matrix, x, alone, batch, (product_way){0}, "not as alone");
      }
      static const int32_t roomy[][2] = {{1, 512}, {3, 16}, {5, 40}, {17, 140}, {20, 512}};
      for (int i = 0; i < 5; i++) {
        expect_same(&matrix, x, alone, roomy[i][0], (product_way){.capacity = roomy[i][1]},
                    "laid out for more rows");
      }
      free(x);
      free(alone);
      packed_free(&matrix);
    }
  }
}

void placement_changes_nothing(void) {
  FOR_EVERY_SET(set) {
    use_set(sets[set]);
    for (int t = 0; t < element_type_count; t++) {
      const element_type *type = &element_types[t];
      random_seed((uint64_t)(300 + t));
      packed matrix = packed_random(type, 43, type_columns(type, 19), -1);
      const int32_t groups = ft_matrix_groups(&matrix.matrix);
      for (int32_t batch = 1; batch <= 18; batch += 17) {
        float *x = random_activations(batch, matrix.matrix.columns);
        float *y = multiply(&matrix, x, batch, (product_way){0});
        for (int32_t split = 1; split <= groups; split++) {
          expect_same(&matrix, x, y, batch, (product_way){.split = split}, "work in two parts");
        }
        for (int32_t threads = 1; threads <= 3; threads++) {
          expect_same(&matrix, x, y, batch, (product_way){.threads = threads}, "several threads");
        }
        expect_same(&matrix, x, y, batch, (product_way){.slack = 5}, "spaced outputs");
        expect_same(&matrix, x, y, batch, (product_way){.reversed = true}, "rows reversed");
        free(x);
        free(y);
      }
      packed_free(&matrix);
    }
  }
}

void instruction_sets_agree(void) {
  static const int32_t shapes[][3] = {
      {8, 8, 1}, {19, 18, 2}, {9, 27, 7}, {16, 33, 16}, {24, 3, 35}};
  for (int t = 0; t < element_type_count; t++) {
    const element_type *type = &element_types[t];
    for (int shape = 0; shape < 5; shape++) {
      random_seed((uint64_t)(400 + 10 * t + shape));
      const int32_t batch = shapes[shape][2];
      packed matrix =
          packed_random(type, shapes[shape][0], type_columns(type, shapes[shape][1]), -1);
      float *x = random_activations(batch, matrix.matrix.columns);
      use_set(FT_ISA_PORTABLE);
      float *expected = multiply(&matrix, x, batch, (product_way){0});
      FOR_EVERY_SET(set) {
        use_set(sets[set]);
        expect_same(&matrix, x, expected, batch, (product_way){0}, "not as portable");
      }
      free(x);
      free(expected);
      packed_free(&matrix);
    }
  }
}

void extremes_do_not_overflow(void) {
  static const int quants[] = {0xFF, 0x00, 0x7F, 0x80};
  FOR_EVERY_SET(set) {
    use_set(sets[set]);
    for (int t = 0; t < element_type_count; t++) {
      const element_type *type = &element_types[t];
      if (!type->integer) continue;
      for (int q = 0; q < 4; q++) {
        random_seed((uint64_t)(500 + t));
        packed matrix = packed_random(type, 8, type_columns(type, 16), quants[q]);
        const int32_t columns = matrix.matrix.columns, batch = 4;
        float *x = malloc((size_t)batch * (size_t)columns * sizeof(float));
        for (int32_t c = 0; c < columns; c++) {
          x[c] = 127;
          x[columns + c] = -127;
          x[2 * columns + c] = c % 2 == 0 ? 127 : -127;
          x[3 * columns + c] = c % 32 < 16 ? 127 : -127;
        }
        float *y = multiply(&matrix, x, batch, (product_way){0});
        // All terms of a row have one sign: the scales' errors add up over the columns of a block.
        const double limit = type->rounds_scales ? 2e-3 * sqrt(32.0) : 1e-4;
        const double error = relative_error(&matrix, x, y, batch);
        if (!(error < limit)) {
          fail("%s on %s: relative error %g with all quants %#x", type->name, set_name(), error,
               (unsigned)quants[q]);
        }
        free(x);
        free(y);
        packed_free(&matrix);
      }
    }
  }
}

void damage_stays_in_its_row(void) {
  const float damages[] = {NAN, INFINITY, -INFINITY};
  FOR_EVERY_SET(set) {
    use_set(sets[set]);
    for (int t = 0; t < element_type_count; t++) {
      const element_type *type = &element_types[t];
      random_seed((uint64_t)(600 + t));
      packed matrix = packed_random(type, 10, type_columns(type, 12), -1);
      const int32_t columns = matrix.matrix.columns;
      float *x = random_activations(4, columns);  // ordinary, damaged, zeros, ordinary again
      memset(x + 2 * columns, 0, (size_t)columns * sizeof(float));
      memcpy(x + 3 * columns, x, (size_t)columns * sizeof(float));
      float *alone = multiply(&matrix, x, 1, (product_way){0});
      for (int i = 0; i < 3; i++) {
        x[columns + columns / 2] = damages[i];
        float *y = multiply(&matrix, x, 4, (product_way){0});
        expect_bits(&matrix, y, alone, 1, "beside a damaged row");
        expect_bits(&matrix, y + 30, alone, 1, "beside a damaged row");
        for (int row = 0; row < 10; row++) {
          if (isfinite(y[10 + row])) fail("%s on %s: damage is hidden", type->name, set_name());
          if (y[20 + row] != 0) fail("%s on %s: zeros give %g", type->name, set_name(),
                                     (double)y[20 + row]);
        }
        free(y);
      }
      free(x);
      free(alone);
      packed_free(&matrix);
    }
  }
}
