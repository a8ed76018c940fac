.DEFAULT_GOAL := help
.PHONY: help demo test check fmt crash faults bench lock venv tools

help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

demo: ## start API, dashboard and generator; Ctrl-C stops them
	./run_demo.sh

test: ## everything that continuous integration runs: checks and all tests
	./run_tests.sh

check: tools ## ruff, formatting, mypy, shellcheck
	scripts/checks.sh

fmt: tools ## format the code and sort the imports
	.venv/bin/ruff check --quiet --fix --select I .
	.venv/bin/ruff format .

crash: tools ## kill -9, power cuts and fault injection, in their long form
	CRASH_KILLS=100 CRASH_POWER_CUTS=50 .venv/bin/python -m pytest -m crash

faults: tools ## ENV=aws through half a minute of throttling and a minute of outage
	THROTTLE_S=30 OUTAGE_S=60 .venv/bin/python -m pytest -s tests/aws/test_long_faults.py

bench: tools ## measure throughput, latency, export and replay; prints a table
	.venv/bin/python -m benchmarks

lock: tools ## pin the newest allowed packages into requirements*.txt
	.venv/bin/python -m pip install --quiet --quiet uv
	.venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.10 --no-header requirements.in -o requirements.txt
	.venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.10 --no-header requirements-dev.in -o requirements-dev.txt

venv: ## install the packages into .venv, as the demo does, and start nothing
	@bash -euc 'source scripts/venv.sh; prepare_venv "Installing packages into .venv; this takes 10 to 60 seconds ..." requirements.txt'

tools:
	@bash -euc 'source scripts/venv.sh; prepare_venv "Installing packages and test tools into .venv ..." requirements.txt requirements-dev.txt'
