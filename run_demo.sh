#!/usr/bin/env bash
# Starts the demo. Needs Python 3.10 or newer with its venv module; everything else is installed into .venv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/venv.sh

prepare_venv 'First start: installing packages into .venv (half a minute on most machines) ...' requirements.txt

# In CI, and on Linux without a display, there is no browser to open.
if [ -n "${CI:-}" ] || { [ "$(uname)" = Linux ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; }; then
  set -- --no-browser "$@"
fi
exec .venv/bin/python -m clickstream.demo "$@"
