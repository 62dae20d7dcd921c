# Each verb sets up .venv first, with the versions that were tested.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install train test test-slow fuzz check format demo docs bench gpu index results clean

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs]'
	touch $@

train: install  ## train the default recipe on digits
	$(BIN)/onward train --no-record

test: install  ## the default tests
	$(BIN)/python -m pytest -n auto --dist loadfile

test-slow: install  ## every test, also those that take minutes
	$(BIN)/python -m pytest -n auto --dist loadfile -m 'slow or not slow'

CASES ?= 20000
SEED ?= 1
fuzz: install  ## damaged and odd inputs; CASE=N carries out one of them again, TARGET=NAME those of one kind
	$(BIN)/python tests/fuzz/fuzzing.py --cases $(CASES) --seed $(SEED) $(if $(CASE),--case $(CASE)) \
		$(if $(FIRST),--first $(FIRST)) $(if $(TARGET),--target $(TARGET))

check: install  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

demo: install  ## a page that learns, in a browser
	rm -rf demo
	$(BIN)/python examples/page_that_learns.py demo

docs: install
	$(BIN)/mkdocs build --strict

bench: install  ## what a step costs beside backprop, on this CPU
	for name in peak_memory depth step_time span_pieces memory_curve plain_loop data_share phases methods launches; do $(BIN)/python benchmarks/$$name.py || exit; done

OUT ?= gpu
MINUTES ?= 10
DEVICE ?= cuda
gpu:  ## tests, benchmarks and queue on a CUDA device within MINUTES, into the folder OUT; installs nothing
	$(PYTHON) benchmarks/on_gpu.py --into $(OUT) --minutes $(MINUTES) --device $(DEVICE) $(if $(PARTS),--only $(PARTS)) $(if $(QUICK),--quick)

index: install  ## what `onward list` and completion show
	$(BIN)/python -m onward.cli.index

results: install  ## results/RESULTS.md, the README's tables and the leaderboard, from the recorded runs
	$(BIN)/onward results --into README.md --leaderboard docs/leaderboard.md
	$(BIN)/python -m onward.cli.index

clean:
	rm -rf .venv site dist demo
