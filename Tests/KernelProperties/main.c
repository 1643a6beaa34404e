#include <stdio.h>
#include <string.h>

#include "properties.h"

// usage: properties [SET...]   the instruction sets that must be there, so that a test of one set
//                              cannot pass by not running it

typedef struct property {
  const char *name;
  void (*check)(void);
} property;

static const property properties[] = {
    {"products are those of double precision", products_are_exact},
    {"rounded activations are off by no more than their step explains", rounding_is_explained},
    {"a row has the same bits in every batch", rows_do_not_depend_on_their_batch},
    {"threads, parts, order and place change no bit", placement_changes_nothing},
    {"all instruction sets give the same products", instruction_sets_agree},
    {"the largest quants and activations do not overflow", extremes_do_not_overflow},
    {"a damaged row spoils no other", damage_stays_in_its_row},
    {"attention is that of double precision", attention_is_exact},
    {"a node of a tree has the bits of its own chain", trees_equal_chains},
    {"norms, gates and the largest value are those of double precision",
     vector_operations_are_exact},
};

static void require_set(const char *name) {
  ft_isa sets[8];
  const int32_t count = available_sets(sets);
  for (int32_t i = 0; i < count; i++) {
    if (strcmp(ft_isa_name(sets[i]), name) == 0) return;
  }
  fail("this machine has no instruction set '%s'", name);
}

int main(int count, char **arguments) {
  for (int i = 1; i < count; i++) require_set(arguments[i]);
  ft_isa sets[8];
  const int32_t set_count = available_sets(sets);
  printf("instruction sets:");
  for (int32_t i = 0; i < set_count; i++) printf(" %s", ft_isa_name(sets[i]));
  putchar('\n');
  for (size_t i = 0; i < sizeof properties / sizeof properties[0]; i++) {
    printf("%s ... ", properties[i].name);
    fflush(stdout);
    properties[i].check();
    ft_isa_unforce();
    puts("holds");
  }
  return 0;
}
