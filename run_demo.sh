#!/usr/bin/env bash
# Starts the demo. Needs Python 3.10 or newer with its venv module; everything else is installed into .venv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/venv.sh

# --aws-local: the same demo with ENV=aws against an emulator, which is among the packages of the tests.
program=clickstream.demo packages=(requirements.txt)
if [ "${1:-}" = --aws-local ]; then
  shift
  program=clickstream.aws.local packages+=(requirements-dev.txt)
fi
prepare_venv 'First start: installing packages into .venv; this takes 10 to 60 seconds ...' "${packages[@]}"

# In CI, and on Linux without a display, there is no browser to open.
if [ -n "${CI:-}" ] || { [ "$(uname)" = Linux ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; }; then
  set -- --no-browser "$@"
fi
exec .venv/bin/python -m "$program" "$@"
