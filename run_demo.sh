#!/usr/bin/env bash
# Starts the demo. Needs Python 3.10 or newer with its venv module; everything else is installed into .venv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/venv.sh

# --aws-local: the same demo with ENV=aws against an emulator, which is among the packages of the tests.
program=clickstream.demo packages=(requirements.txt) arguments=()
what='First start: installing packages into .venv; this takes 10 to 60 seconds ...'
for argument; do
  case $argument in -h | --help) python=$(find_python); exec "$python" -m clickstream.demo.arguments --help ;; esac
  if [ "$argument" = --aws-local ]; then
    program=clickstream.aws.local packages=(requirements.txt requirements-dev.txt)
    what='Installing the AWS emulator and its packages into .venv, once; this takes one to two minutes ...'
  else
    arguments+=("$argument")
  fi
done
set -- ${arguments[@]+"${arguments[@]}"} # bash 3.2 of macOS takes an empty array for an unset one
prepare_venv "$what" "${packages[@]}"

# In CI, and on Linux without a display, there is no browser to open.
if [ -n "${CI:-}" ] || { [ "$(uname)" = Linux ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; }; then
  set -- --no-browser "$@"
fi
exec .venv/bin/python -m "$program" "$@"
