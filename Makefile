# Two commands for a newcomer, each from an empty clone: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN := OMP_NUM_THREADS=1 $(BIN)

.PHONY: install demo test lint types slow clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade -c constraints.txt "pip>=25.1"
	$(BIN)/python -m pip install --quiet -c constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[sb3,epymarl,mpe,fast]" --group test --group lint
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps --group rliable
	touch $@

# JaxMARL without its dependencies: see the extra smax in pyproject.toml
$(VENV)/.installed-jax: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[smax]"
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps --group jaxmarl
	touch $@

demo: install
	$(RUN)/marl-pr demo --out runs/demo

test: lint types $(VENV)/.installed-jax
	$(RUN)/python -m pytest -n 2 -m "not slow"

slow: install $(VENV)/.installed-jax
	$(RUN)/python -m pytest -m slow

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

clean:
	rm -rf $(VENV) runs build dist
