#!/usr/bin/env bash
# Writes the API documentation of the libraries as static web pages to Documentation/. The DocC
# plugin is a dependency only while FORETOKEN_DOCS is set, so that ordinary builds do not fetch it.
set -euo pipefail
cd "$(dirname "$0")/.."

export FORETOKEN_DOCS=1
for target in Foretoken Decoding Transformers Tokenization Checkpoints Compute; do
  echo "documenting $target"
  swift package --scratch-path .build-docs --allow-writing-to-directory Documentation \
    generate-documentation --target "$target" --output-path "Documentation/$target" \
    --transform-for-static-hosting --hosting-base-path "$target" >/dev/null
done
echo "wrote Documentation/; serve it with: python3 -m http.server --directory Documentation"
