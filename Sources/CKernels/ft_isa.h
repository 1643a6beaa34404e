#ifndef FT_ISA_H
#define FT_ISA_H

// Where the variants of a kernel meet. Private to CKernels.

#include "ft_matrix_format.h"

#if defined(__x86_64__) || defined(__i386__)
#define FT_HAS_X86 1
#else
#define FT_HAS_X86 0
#endif

#if defined(__aarch64__)
#define FT_HAS_NEON 1
#else
#define FT_HAS_NEON 0
#endif

#endif
