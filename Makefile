# make demo          install into .venv and track the cells of the sample video
# make test          install what the tests need, check the code's form, run the tests
# make test-sweeps   the tests that go through many cases or run whole programs, left out by make test
# make test-lowest   all tests with the oldest releases that pyproject.toml allows, in .venv-lowest
# make test-newest   the tests with the newest ones, in .venv-newest
# make test-kernels  the tests of what computes, as other processors would, on one thread and two
# make test-formats  read what is exported with the tools of others, and files of microscopes, in .venv-formats
# make wheel         build what is released, into dist
# make smoke         install that in clean environments, bare and with each extra, and try it
# make changelog-check   see that the changelog speaks of what is here (BASE=main: of what is new)
# make docs          build the docs site into site/; a warning ends it
# make lock          choose anew what the first two install (requirements.lock)
PYTHON ?= python3
VENV ?= .venv

# The folder and the ending of a virtual environment's programs; windows open on a made screen
# where there may be none
ifeq ($(OS),Windows_NT)
SCRIPTS := Scripts
EXE := .exe
else
SCRIPTS := bin
endif
ifeq ($(shell uname -s),Linux)
ON_A_SCREEN := xvfb-run --auto-servernum --server-args="-screen 0 1600x1000x24"
endif
BIN := $(VENV)/$(SCRIPTS)

# The releases that are installed, and no others. They are given to pip as constraints: it takes what
# is needed here (no CUDA libraries where torch is a CPU build), in the release named there.
LOCK ?= requirements.lock
PIP := PIP_CONSTRAINT=$(LOCK) PIP_BUILD_CONSTRAINT=$(LOCK) \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check

# Without an NVIDIA card torch's small CPU build is enough; where PyTorch's own index can't be
# reached, pip goes on without it.
ifeq ($(shell command -v nvidia-smi),)
TORCH_INDEX := --retries 1 --extra-index-url https://download.pytorch.org/whl/cpu
endif

# uv, since it alone chooses for every Python and system at once, and the lowest releases too
UV := .venv-lock/$(SCRIPTS)/uv$(EXE)
CHOOSE := $(UV) pip compile pyproject.toml --extra all --extra test --extra docs --upgrade --no-annotate --quiet
# Raised by hand: gigabytes with a release of CUDA each
TORCH := torch==2.14.1 torchvision==0.29.1

# What a window needs on a Debian without a screen
PACKAGES := xvfb xauth libegl1 libgl1 libglib2.0-0 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 \
	libxcb-keysyms1 libxcb-image0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libdbus-1-3 \
	libfontconfig1

.PHONY: demo test test-quick test-sweeps test-lowest test-newest test-kernels test-formats wheel smoke \
	changelog-check lint docs lock system clean

demo: $(VENV)/.installed
	$(BIN)/napari-sam3 demo --overwrite

test: lint test-quick

# What was compiled is kept, whatever the machine says elsewhere: the tests start many processes, and
# the sweeps read what the quick ones have written
test-quick test-sweeps: export PYTHONDONTWRITEBYTECODE :=
# Two processes, on two cores, and three for the sweeps, where one often waits for a program that it
# started; one that has no tests left takes over half of those that another one has
test-quick: TESTS := -n 2 -m "not sweep and not formats"
test-sweeps: TESTS := -n 3 -m "sweep and not formats"
test-quick test-sweeps: $(VENV)/.installed-for-tests system
	$(ON_A_SCREEN) $(BIN)/python -m pytest --dist worksteal $(TESTS)

test-lowest: RELEASES := lowest-direct
test-newest: RELEASES := highest
test-lowest test-newest: test-%: .venv-%/$(SCRIPTS)/python$(EXE) $(UV)
	$(CHOOSE) --python $< --resolution $(RELEASES) --output-file .venv-$*/requirements.lock
	$(MAKE) test-quick test-sweeps VENV=.venv-$* LOCK=.venv-$*/requirements.lock

# What a processor without AVX-512, and one without AVX, makes of networks and of flow
test-kernels: export ONEDNN_MAX_CPU_ISA := AVX2
test-kernels: export OPENBLAS_CORETYPE := Haswell
test-kernels: $(VENV)/.installed-for-tests
	for threads in 1 2; do for kernels in default avx2; do \
		OMP_NUM_THREADS=$$threads ATEN_CPU_CAPABILITY=$$kernels $(BIN)/python -m pytest \
			tests/models/sam tests/models/optical_flow tests/samples || exit 1; \
	done; done

# These tools want older releases of what they share with this package than the lock has
FORMATS := .venv-formats/$(SCRIPTS)/python$(EXE)
test-formats: .venv-formats/.installed
	QT_QPA_PLATFORM=offscreen $(FORMATS) -m pytest -m formats tests/formats tests/video

.venv-formats/.installed: pyproject.toml $(wildcard tests/formats/*.txt) | $(FORMATS) $(UV)
	$(FORMATS) -m pip install --quiet --disable-pip-version-check $(TORCH_INDEX) $(TORCH)
	$(UV) pip install --quiet --python $(FORMATS) --editable '.[all,test,bio]' \
		--requirement tests/formats/requirements.txt --override tests/formats/overrides.txt
	@touch $@

lint: $(VENV)/.installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: export NO_MKDOCS_2_WARNING := 1
docs: $(VENV)/.installed-for-docs
	$(BIN)/mkdocs build --strict

# One release for every Python where there is one, so that a run on one speaks for the others. The
# last two build the package itself.
lock: $(UV)
	printf '%s\n' $(TORCH) hatchling editables | $(CHOOSE) - --universal --python-version 3.11 \
		--fork-strategy fewest --custom-compile-command "make lock" --output-file requirements.lock

# The Pythons that the wheel is tried with, as uv takes them, and what it is installed with ("bare"
# and extras; all, if left out)
PYTHONS ?= $(PYTHON)
EXTRAS ?=
wheel: $(UV)
	rm -rf dist
	$(UV) build --quiet --out-dir dist

smoke: wheel
	$(PYTHON) tests/release/smoke.py dist/*.whl --uv $(CURDIR)/$(UV) --constraint $(LOCK) \
		--python $(PYTHONS) $(if $(EXTRAS),--extra $(EXTRAS))

BASE ?=
TAG ?=
changelog-check:
	$(PYTHON) tests/release/changelog.py $(if $(BASE),--base $(BASE)) $(if $(TAG),--tag $(TAG))

$(UV): .venv-lock/$(SCRIPTS)/python$(EXE)
	.venv-lock/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check uv

$(addsuffix /$(SCRIPTS)/python$(EXE),$(sort $(VENV) .venv-lock .venv-lowest .venv-newest .venv-formats)):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "napari-sam3 needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
		[ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq python3-venv; } || { \
		echo "Python's venv module is missing; install it (Debian: apt-get install python3-venv)"; exit 1; }
	$(PYTHON) -m venv $(@D:/$(SCRIPTS)=)

$(VENV)/.installed: pyproject.toml $(LOCK) | $(BIN)/python$(EXE)
	$(PIP) $(TORCH_INDEX) torch torchvision
	$(PIP) --editable '.[all]'
	@touch $@

$(VENV)/.installed-for-tests: $(VENV)/.installed
	$(PIP) --editable '.[all,test]'
	@touch $@

$(VENV)/.installed-for-docs: $(VENV)/.installed
	$(PIP) --editable '.[all,docs]'
	@touch $@

# The system's packages: installed where that is allowed, else named
system:
ifdef ON_A_SCREEN
	@command -v dpkg >/dev/null || { command -v xvfb-run >/dev/null && exit 0; \
		echo "the tests open windows: install Xvfb and Qt's xcb libraries for this system"; exit 1; }; \
	missing=; for p in $(PACKAGES); do \
		dpkg -s $$p 2>/dev/null | grep -q '^Status: install ok' || missing="$$missing $$p"; done; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null; \
	else \
		echo "missing for the tests' windows:$$missing"; \
		echo "install them: sudo apt-get install$$missing"; exit 1; \
	fi
endif

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache demo-output site
