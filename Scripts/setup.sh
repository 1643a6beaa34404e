#!/usr/bin/env bash
# Installs the Debian packages that the build and `foretoken pull` need, if they are missing; with
# --test also those of the tests (of kernels for other processors, and of the server), with --browser
# those of the page's test. Elsewhere, it says what is needed. Running it again does nothing.
#
# usage: Scripts/setup.sh [--test | --browser]
set -euo pipefail

missing=()
has_header() { [[ -e /usr/include/$1 ]] || compgen -G "/usr/include/*/$1" >/dev/null; }

command -v python3 >/dev/null || missing+=(python3)
python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)

if [[ $(uname -s) == Linux ]]; then
  has_header openssl/evp.h || missing+=(libssl-dev)
  has_header cblas.h || missing+=(libopenblas-dev)
  command -v pkg-config >/dev/null || missing+=(pkg-config)
fi

if [[ ${1:-} == --test && $(uname -s) == Linux ]]; then
  # The clients of the server's tests.
  command -v curl >/dev/null || missing+=(curl)
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
fi

if [[ ${1:-} == --test && $(uname -s) == Linux && $(uname -m) != aarch64 ]]; then
  command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
  [[ -e /usr/aarch64-linux-gnu/include/stdio.h ]] || missing+=(libc6-dev-arm64-cross)
  compgen -G '/usr/lib/gcc-cross/aarch64-linux-gnu/*/libgcc.a' >/dev/null ||
    missing+=(gcc-aarch64-linux-gnu)
fi

if [[ ${1:-} == --browser && $(uname -s) == Linux ]]; then
  command -v chromium >/dev/null || missing+=(chromium)
  python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
  # Without a font the screenshots would show no text.
  compgen -G '/usr/share/fonts/truetype/*/*.ttf' >/dev/null || missing+=(fonts-dejavu-core)
fi

((${#missing[@]})) || exit 0

if ! command -v apt-get >/dev/null; then
  echo "error: please install these packages (Debian's names): ${missing[*]}" >&2
  exit 1
fi

as_root=()
if ((EUID != 0)); then
  command -v sudo >/dev/null || {
    echo "error: please run as root: apt-get install ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo)
fi

echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
