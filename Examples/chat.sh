#!/usr/bin/env bash
# Asks a server with curl: the whole answer, then as it is written.
#
# usage: foretoken serve & Examples/chat.sh
set -euo pipefail
url=${FORETOKEN_URL:-http://127.0.0.1:8080}

ask() {
  curl --fail --silent --show-error --no-buffer "$url/v1/chat/completions" \
    -H "Content-Type: application/json" -d "$1"
}

ask '{"model": "smollm2-135m", "max_tokens": 20, "seed": 1,
  "messages": [{"role": "user", "content": "Why is the sky blue?"}]}'
echo
ask '{"model": "smollm2-135m", "max_tokens": 20, "seed": 1, "stream": true,
  "messages": [{"role": "user", "content": "Why is the sky blue?"}]}'
