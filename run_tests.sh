#!/usr/bin/env bash
# Everything from a fresh clone: environment, static checks, all tests (fast ones first).
# Arguments go to pytest: ./run_tests.sh -k demo
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/venv.sh

prepare_venv 'Installing packages and test tools into .venv; this takes one to two minutes ...' \
  requirements.txt requirements-dev.txt
prepare_node_packages

checks=0
scripts/checks.sh || checks=1

# A file of tests stays with one worker: its tests share servers. Which come first, and how many workers there are, says
# tests/conftest.py. TEST_WORKERS=0 runs all in one process (for --pdb).
tests=0
CHECKS_FAILED=$checks .venv/bin/python -m pytest \
  --numprocesses "${TEST_WORKERS:-auto}" --maxprocesses 4 --dist loadfile --no-loadscope-reorder "$@" || tests=$?
[ "$checks" -eq 0 ] || exit 1
exit "$tests"
