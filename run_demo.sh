#!/usr/bin/env bash
# Starts the demo. Needs Python 3.10 or newer with its venv module; everything else is installed into .venv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/venv.sh

prepare_venv 'First start: installing packages into .venv; this takes 10 to 60 seconds ...' requirements.txt

# In CI, and on Linux without a display, there is no browser to open.
if [ -n "${CI:-}" ] || { [ "$(uname)" = Linux ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; }; then
  set -- --no-browser "$@"
fi
exec .venv/bin/python -m clickstream.demo "$@"
