# make demo                the main job on a drawn sample video
# make demo VIDEO=my.mp4   the main job on your video
# make bench               every figure of docs/performance.md, into bench/; hours
# make test                lint, types and the whole test suite
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEED ?= 0
DEMO_DIR ?= demo

.PHONY: demo test bench lint clean install

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else f"Python is {v[0]}.{v[1]}. Allowed: 3.11 to 3.13. Try: make $(MAKECMDGOALS) PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: install
	$(BIN)/python -m videograph.demo --out $(DEMO_DIR) --seed $(SEED) $(if $(VIDEO),--video "$(VIDEO)")

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

test: lint
	$(BIN)/python -m pytest -q -n 2

bench: install
	$(BIN)/python benchmarks/bench.py --out bench $(if $(QUICK),--quick)

clean:
	rm -rf $(VENV) bench demo build dist
