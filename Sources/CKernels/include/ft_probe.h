#ifndef FT_PROBE_H
#define FT_PROBE_H

#include <stddef.h>
#include <stdint.h>

/// Reads `bytes` bytes once, as fast as the machine does, and returns a checksum so that
/// nothing is left out. The caller times it, one call per thread over a share of a buffer too
/// large for the caches (256 MB or more): bytes / seconds is the read bandwidth that a kernel for
/// one activation row can hope for.
uint64_t ft_probe_read(const void *source, size_t bytes);

/// Runs `iterations` rounds of the multiply and add instructions of the integer kernels on
/// registers alone and returns the number of 8-bit multiply-adds done. The caller times it.
uint64_t ft_probe_int8(uint64_t iterations);

#endif
