#ifndef PROPERTIES_H
#define PROPERTIES_H

// Properties of the kernels as a program in plain C: no Swift and no test framework, so that it also
// runs for another processor under emulation (Scripts/test-neon.sh) and, compiled against sources
// with a planted fault, shows that the fault would be found (Scripts/mutation-tests.sh).

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "CKernels.h"

/// Memory that ends where a page begins that may not be touched, and that begins after one, give or
/// take its alignment.
typedef struct guarded {
  void *pointer;
  void *base;
  size_t length;
} guarded;

guarded guarded_make(size_t bytes, size_t alignment);
void guarded_free(guarded memory);

/// xorshift64*: the same numbers everywhere.
uint64_t random_bits(void);
void random_seed(uint64_t seed);
int32_t random_between(int32_t low, int32_t high);
float random_unit(void);  // -1 ... 1

/// Reports what is wrong and ends the program with status 1.
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// An element type of the file format.
typedef struct element_type {
  ft_type type;
  const char *name;
  bool integer;        // int8 activations
  bool rounds_scales;  // block scales become 12-bit integers
  int half_offsets[2]; // where a block's binary16 numbers are, -1 for none
} element_type;

extern const element_type element_types[];
extern const int element_type_count;

/// Columns that are a multiple of the type's block and, where possible, not of 256.
int32_t type_columns(const element_type *type, int32_t blocks);

/// A packed matrix with the values it was made from.
typedef struct packed {
  const element_type *type;
  ft_matrix matrix;
  float *weights;  // [rows, columns], dequantised
  guarded data, scratch;
} packed;

/// A matrix of random blocks; `quants` >= 0 fills every byte but the scales with one value.
packed packed_random(const element_type *type, int32_t rows, int32_t columns, int quants);
void packed_free(packed *matrix);

/// How a product is computed. Zeros stand for the plain way.
typedef struct product_way {
  int32_t capacity;   // rows the activations are laid out for
  int32_t split;      // group at which the work is divided, as between two calls
  int32_t threads;    // workers that share the groups
  int32_t slack;      // outputs between the rows of the result
  bool reversed;      // rows in the opposite order
} product_way;

/// Activations [batch, columns] to outputs [batch, rows]; the caller frees them. Checks that nothing
/// outside is written.
float *multiply(const packed *matrix, const float *x, int32_t batch, product_way way);

/// Instruction sets that can be run here.
int32_t available_sets(ft_isa sets[8]);
void use_set(ft_isa set);

// The properties. Each returns when it holds and calls `fail` otherwise.
void products_are_exact(void);
void rounding_is_explained(void);
void rows_do_not_depend_on_their_batch(void);
void placement_changes_nothing(void);
void instruction_sets_agree(void);
void extremes_do_not_overflow(void);
void damage_stays_in_its_row(void);
void attention_is_exact(void);
void trees_equal_chains(void);
void vector_operations_are_exact(void);

#endif
