#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "ft_isa.h"

#if FT_HAS_NEON && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#define ISA_COUNT 4
#define ISA_UNDECIDED (-1)

static _Atomic int current = ISA_UNDECIDED;
static _Thread_local int forced = ISA_UNDECIDED;

const char *ft_isa_name(ft_isa isa) {
  switch (isa) {
    case FT_ISA_PORTABLE: return "portable";
    case FT_ISA_AVX2: return "avx2";
    case FT_ISA_AVX512VNNI: return "avx512vnni";
    case FT_ISA_NEON: return "neon";
  }
  return "unknown";
}

/// Whether an aarch64 processor has `sdot`, which is optional before ARMv8.4.
static bool has_dot_products(void) {
#if FT_HAS_NEON && defined(__linux__)
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#elif FT_HAS_NEON && defined(__APPLE__)
  return true;
#else
  return false;
#endif
}

bool ft_isa_available(ft_isa isa) {
  switch (isa) {
    case FT_ISA_PORTABLE: return true;
    case FT_ISA_AVX2:
#if FT_HAS_X86
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("f16c");
#else
      return false;
#endif
    case FT_ISA_AVX512VNNI:
#if FT_HAS_X86
      // The compiler's run time asks the system (XCR0) as well as the processor.
      return ft_isa_available(FT_ISA_AVX2) && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
#else
      return false;
#endif
    case FT_ISA_NEON: return has_dot_products();
  }
  return false;
}

/// The instruction set that FORETOKEN_ISA names if it is available, otherwise the best there is.
static ft_isa choose(void) {
  const char *wanted = getenv("FORETOKEN_ISA");
  ft_isa best = FT_ISA_PORTABLE;
  for (int index = 0; index < ISA_COUNT; index++) {
    const ft_isa isa = (ft_isa)index;
    if (!ft_isa_available(isa)) continue;
    if (wanted && strcmp(wanted, ft_isa_name(isa)) == 0) return isa;
    best = isa;
  }
  return best;
}

ft_isa ft_isa_current(void) {
  if (forced != ISA_UNDECIDED) return (ft_isa)forced;
  int isa = atomic_load_explicit(&current, memory_order_relaxed);
  if (isa == ISA_UNDECIDED) {
    isa = (int)choose();
    atomic_store_explicit(&current, isa, memory_order_relaxed);
  }
  return (ft_isa)isa;
}

bool ft_isa_force(ft_isa isa) {
  if (!ft_isa_available(isa)) return false;
  forced = (int)isa;
  return true;
}

void ft_isa_unforce(void) { forced = ISA_UNDECIDED; }
