# `make` alone prints this menu. `make demo` and `make test` do all their own set-up.
.DEFAULT_GOAL := help
SHELL := /bin/bash
TRIPOINT := .venv/bin/tripoint

.PHONY: help setup setup-dev demo test test-all check format unit bench bench-convert bench-serving bench-parity soak-serving fuzz-serving models faults mutate corpus docs lock clean docker

help: ## this menu
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

setup: ## environments, web app, browser: whatever is not there yet
	@scripts/setup.sh main

setup-dev:
	@scripts/setup.sh dev

demo: setup ## train, export, convert, serve, run everywhere, compare: the verdict
	@$(TRIPOINT) run digits

test: setup-dev docker check ## everything that must hold, in under 15 minutes
	.venv/bin/pytest -m "not slow" --ignore tests/unit

test-all: setup-dev docker check ## the same and what takes longer
	.venv/bin/pytest --ignore tests/unit

check: setup-dev ## format, lint, types, import contract, unit tests; no Docker, no browser
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	cd web_demo && PATH="$$PWD/.node/bin:$$PATH" npm run --silent check && PATH="$$PWD/.node/bin:$$PATH" npm test --silent
	.venv/bin/pytest tests/unit

format: setup-dev ## let the formatters have their way
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

bench: setup-dev ## how long a cold run, a second run and --help take, as ratios
	.venv/bin/python tests/bench/bench_run.py

bench-convert: setup-dev ## how long converting and a whole adoption take and how much memory, as ratios to the bare converters
	.venv/bin/python tests/bench/bench_convert.py
	PYTHONPATH=. .venv/bin/python tests/bench/bench_adopt.py

bench-serving: setup-dev ## how fast the embedded server is, as ratios to the bare call (needs wrk and h2load)
	$(TRIPOINT) run digits --target saved_model --quiet
	.venv/bin/python tests/bench/bench_serving.py --model build/digits/saved_model/digits

bench-parity: setup-dev ## 50,000 samples x 1,000 classes compared: time, memory, and the ratio to making the answers
	PYTHONPATH=. .venv/bin/python tests/bench/bench_parity.py

mutate: setup-dev ## small faults in the comparator (ONLY='ulps scores' for some modules): what the tests do not notice
	.venv/bin/mutmut run $(foreach module,$(ONLY),'pipeline.parity.$(module).*')
	.venv/bin/python scripts/mutants.py

soak-serving: setup-dev ## five minutes of load with a version swap every ten seconds
	.venv/bin/python tests/bench/soak_serving.py

fuzz-serving: setup-dev ## 20,000 requests that no client should send, through both doors
	.venv/bin/python tests/bench/fuzz_serving.py

models: setup-dev docker ## every model of ours on every target: one table
	PYTHONPATH=. .venv/bin/python scripts/run_models.py

faults: setup-dev ## every deployment fault in real artifacts and runtimes, then 200 clean runs: build/faults/
	.venv/bin/python -m tests.faults.bench
	.venv/bin/python -m tests.faults.clean

corpus: setup-dev ## other people's models, each on every target; CORPUS_ALL=1 for every member of keras.applications
	.venv/bin/python -m tests.corpus $(if $(ONLY),--only '$(ONLY)') $(if $(QUICK),--quick)

docker: ## a Docker daemon, when this is a machine where we may start one
	@scripts/docker-daemon.sh || [ "$$TRIPOINT_STRICT" != 1 ]

docs: setup-dev ## docs/cli.md from the commands' own help
	PYTHONPATH=. .venv/bin/python scripts/cli_docs.py > docs/cli.md

lock: ## resolve the requirements anew
	scripts/lock.sh

clean: ## forget every result and the built web app; environments stay
	rm -rf .tripoint build mutants web_demo/dist
