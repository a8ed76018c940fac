#!/usr/bin/env bash
# Everything from a fresh clone: environment, static checks, all tests (fast ones first).
# Arguments go to pytest: ./run_tests.sh -k demo
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/venv.sh

unset PYTHONDONTWRITEBYTECODE # what one of many processes has compiled, the others need not

prepare_node_packages
NO_COMPILE=1 prepare_venv 'Installing packages and test tools into .venv; this takes about a minute ...' \
  requirements.txt requirements-dev.txt
compile_venv & # the checks leave a processor free

failed='' # what, for the last summary to repeat
scripts/checks.sh || failed='static checks'
# What pytest makes of the test files is kept: here once, later each of its processes would make it anew.
[ -d tests/__pycache__ ] || .venv/bin/python -m pytest --collect-only --quiet >/dev/null || true # what fails is shown below
wait # for the packages of node, and for what is compiled

# run ARGUMENT...: a part of the tests; that a part has none of the chosen ones is no failure.
code=5
run() {
  local ended=0
  FAILED_BEFORE=$failed .venv/bin/python -m pytest "$@" || ended=$?
  [ "$ended" -eq 5 ] && return
  [ "$ended" -eq 0 ] || failed="${failed:+$failed and }tests"
  [ "$code" -ne 5 ] && [ "$ended" -eq 0 ] || code=$ended
}

# A file of tests stays with one worker: its tests share servers. Which come first, and how many workers there are, says
# tests/conftest.py. TEST_WORKERS=0 runs all in one process (for --pdb). What measures is run by itself afterwards.
run --numprocesses "${TEST_WORKERS:-auto}" --maxprocesses 4 --dist loadfile --no-loadscope-reorder --measuring no "$@"
run --measuring only "$@"
[[ $failed != 'static checks'* ]] || exit 1
exit "$code"
