#!/usr/bin/env bash
# Makes a Docker daemon answer, if this machine lets us: installs Debian's when root on Debian, and starts it when root.
# Does nothing when one answers already. Exits 0 with a daemon and 1 without; `tripoint doctor` says what to do then.
set -euo pipefail

answers() {
  # Any HTTP answer will do: a client of its own need not be installed.
  python3 - "${DOCKER_HOST:-unix:///var/run/docker.sock}" <<'PYTHON'
import socket, sys
from urllib.parse import urlsplit

url = urlsplit(sys.argv[1])
try:
    if url.scheme == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(5)
        connection.connect(url.path)
    else:
        connection = socket.create_connection((url.hostname, url.port or 2375), timeout=5)
    connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
    sys.exit(not connection.recv(16).startswith(b"HTTP/1"))
except (OSError, TypeError):
    sys.exit(1)
PYTHON
}

answers && exit 0
if [ -n "${DOCKER_HOST:-}" ]; then
  echo "docker-daemon: the daemon at DOCKER_HOST does not answer" >&2
  exit 1
fi
if [ "$(id -u)" != 0 ]; then
  echo "docker-daemon: no Docker daemon answers, and only root can start one" >&2
  exit 1
fi

if [ -r /etc/debian_version ]; then
  missing=()
  for package in docker.io debootstrap iptables; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  if [ ${#missing[@]} != 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    # The lists may be old or missing on a fresh machine, so they are fetched only when the first try fails.
    apt-get install --yes --no-install-recommends "${missing[@]}" >/dev/null 2>&1 \
      || { apt-get update >/dev/null && apt-get install --yes --no-install-recommends "${missing[@]}" >/dev/null; }
  fi
fi
if ! command -v dockerd >/dev/null; then
  echo "docker-daemon: there is no dockerd to start" >&2
  exit 1
fi

log=/var/log/tripoint-dockerd.log
daemon=
SECONDS=0
until answers; do
  if [ "$SECONDS" -ge 60 ]; then
    echo "docker-daemon: dockerd did not answer within 60 s; the end of $log:" >&2
    tail -n 20 "$log" >&2
    exit 1
  fi
  # One that is just going down still holds its pid file, and then ours gives up at once; so it is started until it stays.
  if [ -z "$daemon" ] || ! kill -0 "$daemon" 2>/dev/null; then
    # A session of its own, so that neither Ctrl-C nor the end of `make` takes it down.
    setsid dockerd >>"$log" 2>&1 </dev/null &
    daemon=$!
  fi
  sleep 0.5
done
