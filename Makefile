# Two commands for a newcomer, each from an empty clone: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# what is compiled is kept: `install` leaves that to the first run, which needs a part of it only
RUN := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)
PIP := $(BIN)/python -m pip install --quiet --no-compile -c constraints.txt

.PHONY: install demo test lint types tests site slow clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/.pip
	$(PIP) -e ".[sb3,epymarl,mpe,fast]"
	touch $@

# JaxMARL without its dependencies: see the extra smax in pyproject.toml; rliable likewise
$(VENV)/.installed-all: pyproject.toml constraints.txt | $(VENV)/.pip
	$(PIP) -e ".[sb3,epymarl,mpe,fast,smax]" --group test --group lint --group docs
	$(PIP) --no-deps --group rliable --group jaxmarl
	touch $(VENV)/.installed $@

$(VENV)/.pip:
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade "pip>=25.1"
	touch $@

demo: install
	$(RUN)/marl-pr demo --out runs/demo

# lint and types beside the tests, which wait for processes now and then
test: $(VENV)/.installed-all
	$(MAKE) -j 3 lint types site tests

tests: $(VENV)/.installed-all
	$(RUN)/python -m pytest -n 2 --dist worksteal -m "not slow"

slow: $(VENV)/.installed-all
	$(RUN)/python -m pytest -m slow

# strict: a broken link or a docstring that does not fit ends it; there is no zensical for Python 3.10
site: $(VENV)/.installed-all
	if $(BIN)/python -c "import sys; sys.exit(sys.version_info < (3, 11))"; then $(BIN)/zensical build --strict --clean; \
	else echo "site: needs Python 3.11"; fi

lint: $(VENV)/.installed-all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-all
	$(BIN)/mypy

clean:
	rm -rf $(VENV) runs build dist
