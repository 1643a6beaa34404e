#include "include/AllocationCounter.h"

#include <stddef.h>
#include <stdlib.h>

// The test program's own malloc takes the place of the C library's for every library it loads; it
// counts and hands on.

static _Thread_local uint64_t thread_count;

uint64_t ac_thread_allocations(void) { return thread_count; }

#if defined(__GLIBC__)

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

bool ac_is_counting(void) { return true; }

void *malloc(size_t size) {
  ++thread_count;
  return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
  ++thread_count;
  return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
  ++thread_count;
  return __libc_realloc(block, size);
}

void *memalign(size_t alignment, size_t size) {
  ++thread_count;
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **block, size_t alignment, size_t size) {
  *block = memalign(alignment, size);
  return *block ? 0 : 12;  // ENOMEM
}

#else

bool ac_is_counting(void) { return false; }

#endif
