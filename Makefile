# Two commands for a newcomer, each from an empty clone: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# what is compiled is kept: `install` leaves that to the first run, which needs a part of it only
RUN := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)
PIP := $(BIN)/python -m pip install --quiet --no-compile -c constraints.txt

.PHONY: install demo test lint types tests site slow clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade "pip>=25.1"
	$(PIP) -e ".[sb3,epymarl,mpe,fast]" --group test --group lint
	$(PIP) --no-deps --group rliable
	touch $@

# JaxMARL without its dependencies: see the extra smax in pyproject.toml
$(VENV)/.installed-jax: $(VENV)/.installed
	$(PIP) -e ".[smax]"
	$(PIP) --no-deps --group jaxmarl
	touch $@

demo: install
	$(RUN)/marl-pr demo --out runs/demo

# lint and types beside the tests, which wait for processes now and then
test: $(VENV)/.installed-jax
	$(MAKE) -j 3 lint types site tests

tests: $(VENV)/.installed-jax
	$(RUN)/python -m pytest -n 2 --dist worksteal -m "not slow"

slow: install $(VENV)/.installed-jax
	$(RUN)/python -m pytest -m slow

# strict: a broken link or a docstring that does not fit ends it
site: install $(VENV)/.installed-docs
	$(BIN)/zensical build --strict --clean

$(VENV)/.installed-docs: $(VENV)/.installed
	$(PIP) --group docs
	touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

clean:
	rm -rf $(VENV) runs build dist
