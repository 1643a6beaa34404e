#!/usr/bin/env bash
# Runs the kernel properties (Tests/KernelProperties) with the NEON kernels: natively on an aarch64
# processor, anywhere else on Linux under user-mode emulation. CC names the compiler (clang).
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
compiler=${CC:-clang}

target=() run=()
case $(uname -s)-$(uname -m) in
  *-aarch64 | *-arm64)
    if [[ -e /proc/cpuinfo ]] && ! grep -qw asimddp /proc/cpuinfo; then
      echo "NEON kernels: not tested here, for this processor has no sdot (ARMv8.2 dot products)"
      exit 0
    fi
    ;;
  Linux-*)
    if ! command -v qemu-aarch64 >/dev/null || [[ ! -e /usr/aarch64-linux-gnu/include/stdio.h ]]; then
      echo "error: the NEON tests need qemu-aarch64 and a C library for aarch64;" \
        "run Scripts/setup.sh --test" >&2
      exit 1
    fi
    target=(--target=aarch64-linux-gnu -static -fuse-ld=lld)
    run=(qemu-aarch64)
    ;;
  *)
    echo "NEON kernels: not tested here, for $(uname -s) on $(uname -m) has no user-mode emulation"
    exit 0
    ;;
esac

echo "NEON kernels on $([[ ${#run[@]} == 0 ]] && echo this processor || echo an emulated aarch64)"
"$compiler" ${target[@]+"${target[@]}"} -std=gnu11 -O2 -Wall -Wextra -Werror \
  -ISources/CKernels/include Sources/CKernels/*.c Tests/KernelProperties/*.c \
  -o "$work/properties" -lm -lpthread
${run[@]+"${run[@]}"} "$work/properties" neon
