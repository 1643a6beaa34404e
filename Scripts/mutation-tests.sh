#!/usr/bin/env bash
# Tests the tests of the kernels: plants one fault after another into a copy of the kernels' sources
# and demands that the kernel properties (Tests/KernelProperties) find it, and that they hold for the
# sources as they are. CC names the compiler (clang).
#
# usage: Scripts/mutation-tests.sh [NAME]     only the faults whose name contains NAME
set -euo pipefail
cd "$(dirname "$0")/.."

only=${1:-}
compiler=${CC:-clang}
properties=$PWD/Tests/KernelProperties
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R Sources/CKernels "$work/sound"
failures=0 count=0

compile() { # FOLDER FILE...: objects into FOLDER/objects
  local folder=$1
  shift
  mkdir -p "$folder/objects"
  printf '%s\n' "$@" | xargs -P "$(getconf _NPROCESSORS_ONLN)" -I '{}' sh -c \
    '"$0" -std=gnu11 -O1 -w -I"$1/include" -I"$1" -c "$2" \
      -o "$1/objects/$(basename "$2" .c).o"' "$compiler" "$folder" '{}'
}

dependents() { # FOLDER FILE: the sources that FILE goes into
  local source
  for source in "$1"/*.c; do
    "$compiler" -MM -std=gnu11 -w -I"$1/include" "$source" | grep -qF "/$2" && echo "$source"
  done
  return 0
}

link_and_run() { # FOLDER: prints what the properties say; their status
  "$compiler" "$1"/objects/*.o -o "$1/properties" -lm -lpthread
  (ulimit -c 0; "$1/properties") 2>&1
}

check() { # NAME FOLDER EXPECTED: the properties must fail in FOLDER, with a message like EXPECTED
  local output status=0
  output=$(link_and_run "$2") || status=$?
  local last
  last=$(tail -1 <<<"$output")
  if ((status == 0)); then
    echo "NOT FOUND  $1" >&2
    failures=$((failures + 1))
  elif ! grep -qE "$3" <<<"$output"; then
    echo "WRONGLY FOUND  $1: $last (status $status; expected '$3')" >&2
    failures=$((failures + 1))
  else
    ((status > 128)) && last="killed by signal $((status - 128)): ${last% ... }"
    echo "found  $1: ${last#*... }"
  fi
  count=$((count + 1))
}

fault() { # NAME FILE SED EXPECTED: edits one file of the sources
  local name=$1 file=$2 edit=$3 expected=$4
  [[ $name == *"$only"* ]] || return 0
  local folder=$work/mutant
  rm -rf "$folder"
  cp -R "$work/sound" "$folder"
  sed -E "$edit" "$work/sound/$file" >"$folder/$file"
  if cmp -s "$work/sound/$file" "$folder/$file"; then
    echo "error: the fault '$name' does not fit $file any more: bring Scripts/mutation-tests.sh" \
      "in line with the sources" >&2
    exit 1
  fi
  local sources
  mapfile -t sources < <(dependents "$folder" "$file")
  ((${#sources[@]})) || { echo "error: nothing includes $file" >&2; exit 1; }
  compile "$folder" "${sources[@]}"
  check "$name" "$folder" "$expected"
}

compile "$work/sound" "$work/sound"/*.c "$properties"/*.c
if ! output=$(link_and_run "$work/sound"); then
  echo "error: the properties do not hold for the sources as they are:" >&2
  tail -1 <<<"$output" >&2
  exit 1
fi
echo "$output" | head -1
has_several_sets=$(head -1 <<<"$output" | grep -c ' portable .' || true)

# The reduction split by thread.
if [[ "reduction split by thread" == *"$only"* ]]; then
  cp -R "$work/sound" "$work/split"
  sed -E 's/\bft_matmul\(/ft_matmul_sound(/' "$work/sound/ft_matmul.c" >"$work/split/ft_matmul.c"
  compile "$work/split" "$work/split/ft_matmul.c" "$properties/Faults/split_reduction.c"
  check "reduction split by thread" "$work/split" 'work in two parts|several threads'
fi

# One path rounds differently.
if ((has_several_sets)); then
  fault "fused multiply-add in one path only" ft_matmul_portable.c \
    's/sums->super_products\[x\]\[row\] \+ tile->scales\[entry\] \* \(float\)scaled/__builtin_fmaf(tile->scales[entry], (float)scaled, sums->super_products[x][row])/' \
    'not as portable'
else
  echo "skipped: a fault in one path only needs a machine with two instruction sets"
fi
fault "activations truncated instead of rounded" ft_activations.c \
  's/value \+ 0x1\.8p23f/(float)(int32_t)value + 0x1.8p23f/' 'relative error'

# Tails.
fault "tail super-block ignored" ft_matmul_portable.c \
  's/format->full_supers \+ \(format->tail_blocks > 0\)/format->full_supers/' 'relative error'
fault "last columns of float rows ignored" ft_matmul_rows.c \
  's/int32_t c = whole; c < count/int32_t c = whole; c < whole/' 'relative error'
fault "unpadded tail of the activations" ft_activations.c \
  's/memcpy\(padded, source, \(size_t\)count \* sizeof\(float\)\)/memcpy(padded, source, sizeof padded)/' \
  'products are'
fault "outputs written beyond the last row" ft_matmul.h \
  's/return left < FT_GROUP_ROWS \? \(int32_t\)left : FT_GROUP_ROWS/return left < 1 ? 1 : FT_GROUP_ROWS/' \
  'written beyond|products are'

# Scales and indices.
fault "wrong scale index" ft_matmul_portable.c \
  's/integers\[2 \* block \+ 1\]\[row\] \* second/integers[2 * block][row] * second/' \
  'Q[36]_K.*relative error'
fault "offsets of another block" ft_matmul_portable.c \
  's/\(float\)scales->offsets\[block\]\[row\]/(float)scales->offsets[0][row]/' 'relative error'
fault "low bits of 12-bit scales dropped" ft_pack_scales.c \
  's/integers\[block\]\[row\] & 15\)/integers[block][row] \& 0)/' 'Q[45]_[01].*relative error'
fault "activations of another row" ft_matmul_portable.c \
  's/entry \+= \(size_t\)tile->stride/entry += (size_t)tile->rows/' 'laid out for more|relative error|not as'
fault "fifth bit of the wrong column" ft_pack.c \
  's/0x01010101u\) << vector/0x01010101u) << (vector ^ 1)/' 'Q5.*relative error'

# Attention.
fault "tail of a tree's path ignored" ft_attention_span.inc \
  's/int32_t total = line->contiguous \+ line->tail_count/int32_t total = line->contiguous/' 'tree'
fault "sliding window off by one" ft_plan_attention.c \
  's/row_positions\(row\) - window/row_positions(row) - window + 1/' 'window'
fault "spans of a shared pass merged backwards" ft_plan_attention.c \
  's/span_partials\(run, index, span\)/span_partials(run, index, run->split.spans - 1 - span)/' 'node .* threads'

if ((failures)); then
  echo "error: $failures of $count planted faults were not found" >&2
  exit 1
fi
echo "all $count planted faults were found"
