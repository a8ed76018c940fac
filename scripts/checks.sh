#!/usr/bin/env bash
# Static checks of the whole project; every one runs, and the exit code says whether all passed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

failed=0
check() {
  local name=$1
  shift
  if "$@"; then printf 'ok      %s\n' "$name"; else printf 'FAILED  %s\n' "$name"; failed=1; fi
}

shell_scripts() {
  find . -type d \( -name .venv -o -name node_modules -o -name .git \) -prune -o -name '*.sh' -print
  printf '.ci/run\n'
}

check 'ruff check' .venv/bin/ruff check --quiet .
check 'ruff format' .venv/bin/ruff format --check --quiet .
check 'mypy' .venv/bin/mypy --no-error-summary
if command -v shellcheck >/dev/null; then
  check 'shellcheck' xargs shellcheck --external-sources < <(shell_scripts)
elif [ -n "${CI:-}" ]; then
  check 'shellcheck is installed' false
else
  printf 'NOT RUN shellcheck: it is not installed\n'
fi

exit "$failed"
