#ifndef ALLOCATION_COUNTER_H
#define ALLOCATION_COUNTER_H

#include <stdbool.h>
#include <stdint.h>

/// Whether allocations of this process are counted (Linux with glibc).
bool ac_is_counting(void);

/// Blocks that the calling thread has allocated so far.
uint64_t ac_thread_allocations(void);

#endif
