#!/usr/bin/env bash
# Writes the API documentation of the libraries as static web pages to Documentation/, from the
# modules of the ordinary build, with the toolchain's own DocC: nothing is compiled for it.
#
# usage: Scripts/docs.sh FOLDER-OF-THE-BUILD
set -euo pipefail
cd "$(dirname "$0")/.."

build=$1
info() { swift -print-target-info | python3 -c 'import json, sys
target = json.load(sys.stdin)
print(target["paths"]["runtimeResourcePath"] if sys.argv[1] == "resources" else target["target"]["unversionedTriple"])' "$1"; }
tools=$(info resources)/../../bin
triple=$(info triple)
graphs=$(mktemp -d)
trap 'rm -rf "$graphs"' EXIT
rm -rf Documentation
mkdir -p Documentation

index='<!doctype html><meta charset="utf-8"><title>Foretoken</title><h1>Foretoken</h1><ul>'
for module in Foretoken Decoding Transformers Tokenization Checkpoints Compute; do
  echo "documenting $module"
  mkdir -p "$graphs/$module"
  "$tools/swift-symbolgraph-extract" -module-name "$module" -I "$build/Modules" \
    -Xcc "-fmodule-map-file=$build/CKernels.build/module.modulemap" \
    -Xcc -fmodule-map-file=Sources/CCrypto/module.modulemap \
    -target "$triple" \
    -minimum-access-level public -skip-inherited-docs -output-dir "$graphs/$module"
  "$tools/docc" convert --additional-symbol-graph-dir "$graphs/$module" \
    --fallback-display-name "$module" --fallback-bundle-identifier "foretoken.$module" \
    --transform-for-static-hosting --hosting-base-path "$module" \
    --output-path "Documentation/$module" >/dev/null
  page=documentation/$(tr '[:upper:]' '[:lower:]' <<<"$module")/
  index+="<li><a href=\"$module/$page\">$module</a>"
done
echo "$index</ul>" >Documentation/index.html
echo "wrote Documentation/; read it with: python3 -m http.server --directory Documentation"
