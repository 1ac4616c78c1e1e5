# Every target sets up what it needs: the environment (tools/env) and a build of this checkout (tools/build).
.DEFAULT_GOAL := help
.PHONY: help env run test test-long compare-kernels lint lab bench shell clean

help: ## what can be done here
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-16s %s\n", $$1, $$2}'

env: ## make the environment: two Pythons, the libraries, JupyterLab, a browser
	@tools/env

run: ## execute the quickstart notebook in the firn kernel; prints each parallel cell's report
	@tools/run python tools/quickstart.py

test: ## the test suite, write guard on, on Python 3.14 and 3.15 (SANITIZE=1: with ASan and UBSan)
	@tools/test $(if $(SANITIZE),--sanitize) $(ARGS)

test-long: ## the same with the long suites: fuzzing, soaks, thousands of generated cases
	@tools/test --long $(ARGS)

compare-kernels: ## the kernel suite's rows against firn, ipykernel and xpython: who passes what
	@tools/run python tools/compare_kernels.py $(ARGS)

lint: ## formatting, style and types: clang-format, ruff, mypy --strict
	@git ls-files '*.cpp' '*.hpp' | xargs tools/env run clang-format --dry-run -Werror
	@tools/env run ruff check . && tools/env run ruff format --check --quiet . && tools/env run mypy

lab: ## JupyterLab with the firn kernel
	@tools/run jupyter lab --no-browser --notebook-dir=notebooks $(if $(filter 0,$(shell id -u)),--allow-root) $(ARGS)

bench: ## every claim of README as a ratio to the alternative, in one run; writes build/bench.json
	@tools/run python -m bench $(ARGS)

shell: ## a shell in the environment, with this checkout's firn
	@tools/run bash --norc -i

clean: ## remove what was built from this checkout (the environment stays)
	@rm -rf build
