#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "properties.h"

static uint64_t state = 1;

void random_seed(uint64_t seed) { state = seed * 0x9E3779B97F4A7C15u + 1; }

uint64_t random_bits(void) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return state * 0x2545F4914F6CDD1Du;
}

int32_t random_between(int32_t low, int32_t high) {
  return low + (int32_t)((random_bits() >> 32) % (uint64_t)(high - low + 1));
}

float random_unit(void) { return (float)(int32_t)(random_bits() >> 32) * 0x1p-31f; }

_Noreturn void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("failed: ", stdout);
  vprintf(format, arguments);
  putchar('\n');
  va_end(arguments);
  exit(1);
}

guarded guarded_make(size_t bytes, size_t alignment) {
  const size_t page = (size_t)getpagesize();
  const size_t pages = (bytes + page - 1) / page + 1;
  guarded memory;
  memory.length = (pages + 2) * page;
  memory.base =
      mmap(NULL, memory.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory.base == MAP_FAILED) fail("no memory for %zu bytes", bytes);
  uint8_t *first = (uint8_t *)memory.base + page, *end = first + pages * page;
  mprotect(memory.base, page, PROT_NONE);
  mprotect(end, page, PROT_NONE);
  memory.pointer = (void *)(((uintptr_t)end - bytes) / alignment * alignment);
  return memory;
}

void guarded_free(guarded memory) { munmap(memory.base, memory.length); }

int32_t available_sets(ft_isa sets[8]) {
  int32_t count = 0;
  for (int isa = 0; isa < 8; isa++) {
    if (ft_isa_available((ft_isa)isa)) sets[count++] = (ft_isa)isa;
  }
  return count;
}

void use_set(ft_isa set) {
  if (!ft_isa_force(set)) fail("instruction set %s cannot be used", ft_isa_name(set));
}
