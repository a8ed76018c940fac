#!/usr/bin/env bash
# Starts the demo. Needs Python 3.10 or newer with its venv module; everything else is installed into .venv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

fail() { printf '%s\n' "$@" >&2; exit 1; }

is_recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; }

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python3.10 python; do
    if is_recent "$candidate"; then printf '%s\n' "$candidate"; return; fi
  done
  fail 'The demo needs Python 3.10 or newer, and none was found.' \
       'Install it (Debian, Ubuntu: sudo apt install python3 python3-venv; macOS: brew install python3)' \
       'or name it: PYTHON=/path/to/python3 ./run_demo.sh'
}

make_environment() {
  local python
  python=$(find_python)
  "$python" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "$("$python" -V) is here, but not its venv module." \
         'Install it (Debian, Ubuntu: sudo apt install python3-venv) and start again.'
  rm -rf .venv
  "$python" -m venv .venv
}

install_requirements() {
  # The hash is written last: an interrupted installation is done again.
  local hash started=$SECONDS
  hash=$(cksum requirements.txt)
  [ "$(cat .venv/requirements.cksum 2>/dev/null)" != "$hash" ] || return 0
  printf 'First start: installing packages into .venv (about 30 seconds) ...\n'
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt ||
    fail 'The packages could not be installed (see above). Is the network reachable? Starting again goes on from here.'
  printf '%s\n' "$hash" >.venv/requirements.cksum
  printf 'Installed in %s s; later starts skip this.\n' "$((SECONDS - started))"
}

is_recent .venv/bin/python || make_environment
install_requirements
# In CI, and on Linux without a display, there is no browser to open.
if [ -n "${CI:-}" ] || { [ "$(uname)" = Linux ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; }; then
  set -- --no-browser "$@"
fi
exec .venv/bin/python -m clickstream.demo "$@"
