#!/usr/bin/env bash
# Sends what /openapi.json allows, and what it does not, to the server at FORETOKEN_URL, and looks for
# answers that the document does not describe.
#
# usage: FORETOKEN_URL=http://127.0.0.1:8080 Tests/ServerClients/fuzz.sh [EXAMPLES]
set -euo pipefail
cd "$(dirname "$0")/../.."

python=$(Scripts/client-venv.sh)
checks=not_a_server_error,status_code_conformance,content_type_conformance
checks+=,response_headers_conformance,response_schema_conformance
exec "$(dirname "$python")/schemathesis" run "$FORETOKEN_URL/openapi.json" \
  --checks "$checks" --mode all --max-examples "${1:-8}" --seed 1 --workers 2 \
  --request-timeout 60 --suppress-health-check all --no-color
