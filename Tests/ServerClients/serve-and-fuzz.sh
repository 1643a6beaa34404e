#!/usr/bin/env bash
# Starts a server on a free port of loopback, and lets fuzz.sh at it.
#
# usage: Tests/ServerClients/serve-and-fuzz.sh FORETOKEN EXAMPLES
set -euo pipefail

log=$(mktemp)
"$1" serve --port 0 --max-context 256 2>"$log" &
server=$!
trap 'kill "$server" 2>/dev/null; rm -f "$log"' EXIT
for _ in $(seq 600); do
  url=$(sed -n 's/^serving .* at //p' "$log")
  [[ -n $url ]] && break
  kill -0 "$server"
  sleep 0.1
done
FORETOKEN_URL=$url "$(dirname "$0")/fuzz.sh" "$2"
