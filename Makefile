# SPDX-License-Identifier: MIT
# Each command sets up what it needs (scripts/setup) and is quick when repeated. The work itself is in scripts/.
.DEFAULT_GOAL := help
.PHONY: help demo test bench study lint fuzz model sanitize matrix soak soak-service impossible format clean

PY ?=
PYTHONS ?=
QUICK ?=
SECONDS ?= 30
RUNS ?= 300
SAMPLES ?= 10000000

help:
	@echo "make demo        profile a real program; the results land in demo-output/"
	@echo "make test        C tests, unit, integration, client tests, stories PY=3.13 or PY=/path/to/python"
	@echo "make matrix      the tests on many interpreters                   PYTHONS=\"/a/python3.12 /b/python3.14\""
	@echo "make soak        what is hard on sampler and tracer, for longer   SECONDS=30 for each hazard, PYTHONS=..."
	@echo "make impossible  stacks that cannot be, in many samples            SAMPLES=10000000, PY=..."
	@echo "make soak-service  a service through all stages of a rollout      SECONDS=1800, PY=..."
	@echo "make bench       overhead and accuracy, side by side              QUICK=1 for a smoke run, PY=..."
	@echo "make study       how often the 95 % intervals hold the truth       RUNS=300 of each program, PY=..."
	@echo "make sanitize    C tests and the extension under ASan, UBSan, TSan  PY=..."
	@echo "make fuzz        libFuzzer on the readers                         SECONDS=30 of CPU for each target, TARGETS=..."
	@echo "make model       the handshakes between threads, every interleaving"
	@echo "make lint        formatters, linters, type checkers, -Werror"
	@echo "make format      rewrite the sources in the house style"
	@echo "make clean       remove everything that these commands have made"

demo:
	@scripts/demo
test:
	@scripts/test $(if $(PY),--python "$(PY)")
matrix:
	@scripts/matrix $(PYTHONS)
soak:
	@scripts/soak $(SECONDS) $(PYTHONS)
impossible:
	@scripts/impossible $(if $(PY),--python "$(PY)") --samples $(SAMPLES)
soak-service: SECONDS := $(if $(filter file,$(origin SECONDS)),1800,$(SECONDS))
soak-service:
	@scripts/soak-service $(SECONDS) $(PY)
bench:
	@scripts/bench $(if $(PY),--python "$(PY)") $(if $(QUICK),--quick)
study:
	@scripts/study $(if $(PY),--python "$(PY)") --runs $(RUNS)
sanitize:
	@scripts/sanitize $(if $(PY),--python "$(PY)")
fuzz:
	@scripts/fuzz $(SECONDS) $(TARGETS)
model:
	@scripts/model
lint:
	@scripts/lint
format:
	@scripts/lint --fix
clean:
	rm -rf .venv .cache build demo-output .mypy_cache .ruff_cache .pytest_cache .hypothesis
