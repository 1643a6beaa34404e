#define _GNU_SOURCE

#include <stdio.h>
#include <unistd.h>

#include "include/ft_pool.h"

#if defined(__linux__)
#include <sched.h>

static int32_t affinity(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 0;
  return CPU_COUNT(&set);
}

/// Whole processors that a container's quota comes to, rounded up; 0 if there is none.
static int32_t quota(void) {
  FILE *file = fopen("/sys/fs/cgroup/cpu.max", "r");
  if (!file) return 0;
  long long microseconds = 0, period = 0;
  int found = fscanf(file, "%lld %lld", &microseconds, &period);
  fclose(file);
  if (found != 2 || microseconds <= 0 || period <= 0) return 0;
  long long processors = (microseconds + period - 1) / period;
  return processors < INT32_MAX ? (int32_t)processors : 0;
}
#else
static int32_t affinity(void) { return 0; }
static int32_t quota(void) { return 0; }
#endif

int32_t ft_available_processors(void) {
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  int32_t available = online > 0 && online < INT32_MAX ? (int32_t)online : 1;
  int32_t limits[2] = {affinity(), quota()};
  for (int i = 0; i < 2; ++i) {
    if (limits[i] > 0 && limits[i] < available) available = limits[i];
  }
  return available;
}
