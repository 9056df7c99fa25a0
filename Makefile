# Every target sets up what it needs: a Python 3.11-3.13, make and git are enough.
#
#   make lab        JupyterLab on your own copies of the chapters, in work/
#   make course     run every chapter without a browser, into build/
#   make test       what CI runs
#   make help       all targets
#
# On Linux the set-up takes 6.5 GB, since PyPI's torch comes with CUDA. TORCH=cpu takes
# PyTorch's CPU wheels instead, about 1 GB:
#   make lab TORCH=cpu

PYTHON ?= python3
TORCH ?=
N ?=
MINUTES ?= 20
REPO ?=
LAB ?=

VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check
CPU_WHEELS := https://download.pytorch.org/whl/cpu

# A waiting OpenMP thread sleeps instead of spinning: see lib/__init__.py.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help lab author update afresh progress course chapter execute test proof browser-test test-haswell fuzz bench badges lint
.PHONY: demo capstone claims symbols portrait
.PHONY: clean
.DEFAULT_GOAL := help
.NOTPARALLEL:

help:
	@echo "make lab                JupyterLab on your copies in work/ (never overwritten)"
	@echo "make update             newer chapters beside your copies, with your answers in them"
	@echo "make progress           chapters, points, and which parts run on your code"
	@echo "make afresh N=05        begin a chapter again; your copy of it is kept beside it"
	@echo "make course             run every chapter into build/, with a table at the end"
	@echo "make chapter N=05       run one chapter into build/"
	@echo "make capstone           the whole road, stage by stage, with a table at its end"
	@echo "make demo               the detector in a browser: build/demo/ (npm fetches once)"
	@echo "make test               all tests, network off"
	@echo "make browser-test       a learner in JupyterLab, in headless Chromium"
	@echo "make portrait           the picture of the browser page in the README, by Chromium"
	@echo "make test-haswell       the export tests on an x86 without VNNI, under qemu-user"
	@echo "make fuzz [MINUTES=20]  random cases, and how many of them came out how"
	@echo "make claims             published numbers beside computed ones: chapters/CLAIMS.md"
	@echo "make symbols            the symbols of the equations: chapters/SYMBOLS.md"
	@echo "make proof              the numbers behind the exercises, into chapters/PROOF.md"
	@echo "make bench              speed, as ratios, on this machine"
	@echo "make author             JupyterLab on the paired originals in chapters/"
	@echo "make execute [N=05]     run chapters and write their outputs into chapters/"
	@echo "make badges REPO=o/n    write the public address into badges and first cells"
	@echo "make lint               ruff, as pre-commit runs it"
	@echo "make clean              remove build/, .venv/ and data/.cache/ (never work/)"

# A set-up is done when its stamp holds the digest of what it was made from: what the
# project needs, the Python, and the folder, which scripts and kernel know by name.
# While it runs, BUSY names its process. One that was interrupted leaves BUSY behind:
# pip may then believe in half a package, so the environment is made anew. Where pip
# itself gives up (no network), nothing is half done and the environment stays.
BUSY := $(VENV).tmp
# It asks at the first start whether to fetch news, over the first chapter.
NEWS := @jupyterlab/apputils-extension:announcements
SIZE := $(if $(filter cpu,$(TORCH)),about 1 GB,6.5 GB on Linux; with TORCH=cpu about 1 GB)
CHECK := import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) \
  else f"Python 3.11 to 3.13 is needed, $(PYTHON) is {v[0]}.{v[1]}; try: make $(MAKECMDGOALS) PYTHON=python3.12")
DIGEST := import hashlib, os, sys, tomllib; \
  project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
  made_from = [project, open("constraints.txt").read(), sys.version_info[:2], os.getcwd()]; \
  print(hashlib.sha256(repr(made_from).encode()).hexdigest())
define set-up
@$(RUN) -c 'import pip' 2>/dev/null || $(PYTHON) -c '$(CHECK)'
@digest=$$($(RUN) -c '$(DIGEST)' 2>/dev/null || $(PYTHON) -c '$(DIGEST)'); \
if [ "$$(cat $(VENV)/.stamp-$(1) 2>/dev/null)" != "$$digest" ]; then \
  set -e; trap 'exit 130' INT TERM; \
  if [ -e $(BUSY) ] && kill -0 "$$(cat $(BUSY))" 2>/dev/null; then \
    echo "another make (process $$(cat $(BUSY))) is setting up $(VENV): wait for it." \
      "If there is none, remove $(BUSY)"; exit 1; \
  fi; \
  echo "setting up .venv for '$(1)' (once; some minutes, $(SIZE))"; \
  anew=; if [ -e $(BUSY) ] || ! $(RUN) -m pip --version >/dev/null 2>&1; then anew=yes; fi; \
  echo "$$$$" > $(BUSY); \
  if [ "$$anew" ]; then $(PYTHON) -m venv --clear $(VENV); fi; \
  failed() { rm $(BUSY); echo "the set-up failed: see above; then make again"; exit 1; }; \
  if [ "$(TORCH)" = cpu ]; then \
    $(PIP) install --no-deps -c constraints.txt --index-url $(CPU_WHEELS) torch torchvision \
      || failed; \
  fi; \
  $(PIP) install -c constraints.txt -e '.[$(2)]' || failed; \
  $(RUN) -m ipykernel install --sys-prefix --name python3 --display-name "Python 3" \
    --env OMP_WAIT_POLICY PASSIVE >/dev/null || failed; \
  $(RUN) -m jupyter labextension disable $(NEWS) >/dev/null 2>&1 || failed; \
  for name in lab $(1); do echo "$$digest" > $(VENV)/.stamp-$$name; done; \
  rm $(BUSY); \
fi
endef

.PHONY: setup-lab setup-all
setup-lab:
	$(call set-up,lab,lab$(,)export)
setup-all:
	$(call set-up,all,lab$(,)test$(,)export$(,)dev)
, := ,

# Chapter 00 opens. LAB holds more options of JupyterLab.
OPEN := --notebook-dir=work --LabApp.default_url=/lab/tree/00_start_here.ipynb
lab: setup-lab
	$(RUN) -m lib.book.course copy
	@if [ "$$(id -u)" = 0 ] && [ -z "$(LAB)" ]; then \
	  echo "you are root, and then Jupyter starts only if it is told to:" \
	    "make lab LAB=--allow-root"; \
	fi
	$(RUN) -m jupyterlab $(OPEN) $(LAB)

update: setup-lab
	$(RUN) -m lib.book.course update

progress: setup-lab
	$(RUN) -m lib.book.course progress

afresh: setup-lab
	@test -n "$(N)" || { echo "which chapter? for example: make afresh N=01"; exit 2; }
	$(RUN) -m lib.book.course afresh --only $(N)

course: setup-lab
	$(RUN) -m lib.book.course run

chapter: setup-lab
	@test -n "$(N)" || { echo "which chapter? for example: make chapter N=01"; exit 2; }
	$(RUN) -m lib.book.course run --only $(N)

author: setup-all
	$(RUN) -m jupytext --sync chapters/py/*.py
	$(RUN) -m jupyterlab --notebook-dir=chapters

execute: setup-all
	$(RUN) -m lib.book.course execute --only "$(N)"

# LIVE names the stages that are done here, the others read what is shipped: LIVE=all.
LIVE ?= search
capstone: setup-lab
	@$(RUN) -m lib.road.capstone --live $(LIVE)

claims: setup-lab
	@$(RUN) -m lib.road.claims

symbols: setup-lab
	@$(RUN) -m lib.road.symbols

# onnxruntime-web comes from the npm registry; its SHA-512 is pinned in lib/road/demo.py.
demo: setup-lab
	@$(RUN) -m lib.road.demo

test: setup-all
	$(RUN) -m tests

proof: setup-all
	$(RUN) -m tests.filled
	$(RUN) -m tests.proof

browser-test: setup-all
	$(PIP) install -c constraints.txt -e '.[browser]'
	$(RUN) -m pytest -q -p no:cacheprovider tests/browser

portrait: setup-all
	$(PIP) install -c constraints.txt -e '.[browser]'
	$(RUN) -m tests.browser.portrait

test-haswell: setup-all
	$(RUN) -m tests.haswell

fuzz: setup-all
	$(RUN) -m tests.fuzz --minutes $(MINUTES) --least 2000

bench: setup-all
	$(RUN) -m tests.benchmarks

badges: setup-lab
	@test -n "$(REPO)" || { echo "whose? for example: make badges REPO=owner/name"; exit 2; }
	$(RUN) -m lib.book.course badges --repo "$(REPO)"

lint: setup-all
	$(RUN) -m ruff check lib tests data chapters/py
	$(RUN) -m ruff format --check lib tests data

clean:
	rm -rf build data/.cache $(VENV) $(BUSY)
