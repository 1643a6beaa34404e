#if defined(__x86_64__)

#include <immintrin.h>

#pragma clang attribute push(                                                                 \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), \
    apply_to = function)
#define FT_TARGET_AVX2 1
#define FT_TARGET_AVX512 1
#define FT_OPS_TABLE ft_ops_avx512
#include "ft_ops.inc"
#pragma clang attribute pop

#endif
