#ifndef FT_TOP_H
#define FT_TOP_H

#include <stdint.h>

/// Writes the indices of the `k` largest of `count` values to `indices`, the largest first and the
/// lower index first among equals, and returns how many it wrote: the smaller of `k` and `count`.
/// Nothing is sorted but what is written. Returns -1 if any value is NaN; infinities are values like
/// any other.
int32_t ft_top_k(const float *values, int32_t count, int32_t k, int32_t *indices);

#endif
