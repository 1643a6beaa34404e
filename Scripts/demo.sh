#!/usr/bin/env bash
# Writes the same text twice: on one thread, one prompt token at a time, and on all threads with the
# prompt in one pass. The bytes must agree; the second run should be faster. Then it edits a text with
# and without speculation: the bytes must agree again.
#
# usage: Scripts/demo.sh PATH-OF-FORETOKEN [PROMPT]
set -euo pipefail

foretoken=$1
prompt=${2:-Explain in a few sentences why the sky is blue, and why sunsets are red.}
edit='Repeat the following letter word for word, but write Maria instead of Anna:'
letter='Dear Anna,

Thank you for your letter of Monday. I am glad that you and your sister arrived safely, and that the
weather was kind to you on the way. The garden here is full of roses now, and the children play in it
from morning to evening. We hope to see you both in August, when the harvest is over and the house is
quiet again.

With best wishes,
Martin'
threads=$(getconf _NPROCESSORS_ONLN)
((threads >= 2)) || threads=2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' reset=$'\e[0m'
else
  bold='' dim='' green='' red='' reset=''
fi

field() { python3 -c 'import json, sys
value = json.load(open(sys.argv[1]))
for key in sys.argv[2].split("."): value = value[key]
print(value)' "$1" "$2"; }

answer() { # NAME OPTIONS…
  local name=$1
  shift
  "$foretoken" run "$prompt" --max-tokens 160 --temperature 0.7 --seed 7 --json "$@" >"$work/$name"
}

"$foretoken" pull

echo
echo "${bold}> $prompt${reset}"
"$foretoken" run "$prompt" --max-tokens 160 --temperature 0.7 --seed 7
echo

answer one --threads 1 --prefill-chunk 1
answer all --threads "$threads"

printf '%s%-36s %14s %14s%s\n' "$bold" 'the same text, written twice' 'prefill' 'decode' "$reset"
row() { # NAME LABEL
  printf '%-36s %8.0f tok/s %8.0f tok/s\n' "$2" \
    "$(field "$work/$1" timings.prefill_tokens_per_second)" \
    "$(field "$work/$1" timings.decode_tokens_per_second)"
}
row one '1 thread, prompt token by token'
row all "$threads threads, prompt in one pass"

if cmp -s <(field "$work/one" tokens) <(field "$work/all" tokens); then
  count=$(field "$work/one" tokens | tr ',' '\n' | wc -l)
  echo "${green}${bold}identical${reset}: all $count tokens agree (temperature 0.7, seed 7)"
else
  echo "${red}${bold}different${reset}: the two runs disagree, which must not be" >&2
  exit 1
fi

echo
echo "${bold}> $edit${reset}"
echo "${dim}(copying from the prompt against one token per forward pass)${reset}"
echo "$letter" >"$work/letter.txt"
"$foretoken" race "$edit" --file "$work/letter.txt" --between copy,none --max-tokens 160
echo
echo "${dim}next: $foretoken chat${reset}"
