#!/usr/bin/env bash
# Resolves pyproject.toml and edge.in anew into requirements/*.txt, with hashes and without any download address.
set -euo pipefail
cd "$(dirname "$0")/.."
compile=(uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url
  --no-annotate --custom-compile-command "make lock")
"${compile[@]}" --overrides requirements/overrides.txt pyproject.toml -o requirements/main.txt
"${compile[@]}" --overrides requirements/overrides.txt --extra dev -c requirements/main.txt pyproject.toml -o requirements/dev.txt
"${compile[@]}" requirements/edge.in -o requirements/edge.txt
