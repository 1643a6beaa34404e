#include "ft_top.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

// The k-th largest of the maxima of blocks is a bound that at least k values reach. So only the few
// blocks whose maximum reaches it are looked at one value at a time, and a heap of k keeps the best.

#define LANES 16
#define MAX_BLOCKS 4096
#define SMALLEST_BLOCK 64  // values; a multiple of LANES

/// The heap holds indices; its root is the worst of them.
typedef struct heap {
  const float *values;
  int32_t *indices;
  int32_t count;
} heap;

/// Whether the value at `a` comes after the one at `b`.
static bool worse(const heap *h, int32_t a, int32_t b) {
  const float x = h->values[a], y = h->values[b];
  return x < y || (x == y && a > b);
}

static void sift_down(heap *h, int32_t at) {
  const int32_t index = h->indices[at];
  for (;;) {
    int32_t child = 2 * at + 1;
    if (child >= h->count) break;
    if (child + 1 < h->count && worse(h, h->indices[child + 1], h->indices[child])) child++;
    if (!worse(h, h->indices[child], index)) break;
    h->indices[at] = h->indices[child];
    at = child;
  }
  h->indices[at] = index;
}

static void push(heap *h, int32_t index) {
  int32_t at = h->count++;
  while (at > 0) {
    const int32_t parent = (at - 1) / 2;
    if (!worse(h, index, h->indices[parent])) break;
    h->indices[at] = h->indices[parent];
    at = parent;
  }
  h->indices[at] = index;
}

/// Indices come in ascending order, so that a value equal to the worst of a full heap stays out.
static void offer(heap *h, int32_t k, int32_t index) {
  if (h->count < k) {
    push(h, index);
  } else if (h->values[index] > h->values[h->indices[0]]) {
    h->indices[0] = index;
    sift_down(h, 0);
  }
}

/// Largest of `count` values; sets `*unordered` if one is NaN.
static float block_maximum(const float *values, int32_t count, bool *unordered) {
  float best[LANES];
  int32_t nan[LANES] = {0};
  for (int lane = 0; lane < LANES; lane++) best[lane] = -INFINITY;
  int32_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    for (int lane = 0; lane < LANES; lane++) {
      const float x = values[i + lane];
      nan[lane] |= x != x;
      best[lane] = x > best[lane] ? x : best[lane];
    }
  }
  for (int lane = 0; i < count; i++, lane++) {
    nan[lane] |= values[i] != values[i];
    best[lane] = values[i] > best[lane] ? values[i] : best[lane];
  }
  int32_t any = 0;
  for (int lane = 0; lane < LANES; lane++) {
    any |= nan[lane];
    best[0] = best[lane] > best[0] ? best[lane] : best[0];
  }
  if (any) *unordered = true;
  return best[0];
}

/// The `k`-th largest of the maxima: a bound that at least k values reach.
static float bound_of(const float *maxima, int32_t blocks, int32_t k) {
  if (k > blocks) return -INFINITY;
  int32_t indices[MAX_BLOCKS];
  heap h = {maxima, indices, 0};
  for (int32_t block = 0; block < blocks; block++) offer(&h, k, block);
  return maxima[indices[0]];
}

/// Turns the heap into the order that is asked for.
static void sort_best_first(heap *h) {
  const int32_t count = h->count;
  while (h->count > 1) {
    const int32_t last = --h->count, worst = h->indices[0];
    h->indices[0] = h->indices[last];
    sift_down(h, 0);
    h->indices[last] = worst;
  }
  h->count = count;
}

int32_t ft_top_k(const float *values, int32_t count, int32_t k, int32_t *indices) {
  if (count <= 0 || k <= 0) return 0;
  if (k > count) k = count;
  int32_t block_values = (int32_t)(((int64_t)count + MAX_BLOCKS - 1) / MAX_BLOCKS);
  block_values = (block_values + SMALLEST_BLOCK - 1) / SMALLEST_BLOCK * SMALLEST_BLOCK;
  const int32_t blocks = (int32_t)(((int64_t)count + block_values - 1) / block_values);
  float maxima[MAX_BLOCKS];
  bool unordered = false;
  for (int32_t block = 0; block < blocks; block++) {
    const int32_t first = block * block_values, left = count - first;
    maxima[block] =
        block_maximum(values + first, left < block_values ? left : block_values, &unordered);
  }
  if (unordered) return -1;
  const float bound = bound_of(maxima, blocks, k);
  heap h = {values, indices, 0};
  for (int32_t block = 0; block < blocks; block++) {
    if (maxima[block] < bound) continue;
    if (h.count == k && maxima[block] <= values[indices[0]]) continue;
    const int32_t first = block * block_values;
    const int32_t end = count - first < block_values ? count : first + block_values;
    for (int32_t index = first; index < end; index++) {
      if (values[index] >= bound) offer(&h, k, index);
    }
  }
  sort_best_first(&h);
  return h.count;
}
