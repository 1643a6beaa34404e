#!/usr/bin/env bash
# Makes the Python environment of the tests in Tests/ServerClients, in .build-clients, unless it is
# there and up to date; prints the path of its Python.
set -euo pipefail
cd "$(dirname "$0")/.."

requirements=Tests/ServerClients/requirements.txt
folder=.build-clients/venv
if ! cmp -s "$requirements" "$folder/requirements.txt"; then
  rm -rf "$folder"
  python3 -m venv "$folder" >&2
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements" >&2
  cp "$requirements" "$folder/requirements.txt"
fi
echo "$PWD/$folder/bin/python"
