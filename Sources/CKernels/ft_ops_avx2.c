#if defined(__x86_64__)

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#define FT_TARGET_AVX2 1
#define FT_OPS_TABLE ft_ops_avx2
#include "ft_ops.inc"
#pragma clang attribute pop

#endif
