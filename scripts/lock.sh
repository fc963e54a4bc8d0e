#!/usr/bin/env bash
# Resolves pyproject.toml and edge.in anew into requirements/*.txt, with hashes and without any download address.
set -euo pipefail
cd "$(dirname "$0")/.."
compile=(uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url
  --no-annotate --custom-compile-command "make lock")
"${compile[@]}" --overrides requirements/overrides.txt pyproject.toml -o requirements/main.txt
"${compile[@]}" --overrides requirements/overrides.txt --extra dev -c requirements/main.txt pyproject.toml -o requirements/dev.txt
"${compile[@]}" requirements/edge.in -o requirements/edge.txt
"${compile[@]}" requirements/node.in -o requirements/node.txt
# Debian bookworm, the image's base, has Python 3.11; its kernel is always Linux.
"${compile[@]}" --overrides requirements/serving-overrides.txt -c requirements/main.txt requirements/serving-image.in \
  -o requirements/serving-image.txt
