# make demo   install, generate a national round, solve, verify, show the table
# make serve  install, start a practice site with practice cards at http://127.0.0.1:8000
# make test   install what the tests need and run everything
# make reader install the card reader service as .venv/bin/jiepin-reader
# make bench  time everything and write bench/README.md (about 45 minutes)
# make bench-quick              small sizes within three minutes, to the screen
# make bench-compare BASE=REV   this tree and a revision, by turns
# make audit  ask for known weaknesses of what site and reader depend on; 3: no answer
# make sbom   write build/sbom.json, a CycloneDX list of the same packages
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
AUDIT := build/audit
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo serve test lint reader bench bench-quick bench-compare audit sbom clean

demo: $(VENV)/demo.stamp
	$(BIN)/jiepin generate demo/round --teachers 5000 --seed 114
	$(BIN)/jiepin solve demo/round --out demo/result
	$(BIN)/jiepin verify demo/round demo/result
	@echo
	@echo "作業資料 round:  demo/round   (schools, subjects, vacancies, teachers)"
	@echo "介聘結果 result: demo/result  (assignments.csv, exchanges.csv, summary.json)"
	@echo "為什麼 why:      $(BIN)/jiepin explain demo/round demo/result T0000001"

serve: $(VENV)/web.stamp
	$(BIN)/jiepin-web demo

test: $(VENV)/test.stamp lint
	$(BIN)/python .ci/suite.py

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

reader: $(VENV)/reader.stamp
	@echo "健保卡讀取程式 card reader: $(BIN)/jiepin-reader --help"
	@echo "沒有讀卡機 without hardware: $(BIN)/jiepin-reader --replay fixtures/cards/health.toml"

bench: $(VENV)/test.stamp
	$(BIN)/python bench/report.py

bench-quick: $(VENV)/test.stamp
	$(BIN)/python bench/report.py --quick

bench-compare: $(VENV)/test.stamp
	@test -n "$(BASE)" || { echo "Which revision? make bench-compare BASE=REV"; exit 2; }
	$(BIN)/python bench/compare.py $(BASE)

audit: $(AUDIT)/stamp
	$(AUDIT)/tools/bin/python .ci/audit.py $(AUDIT)/site/lib/python*/site-packages

sbom: $(AUDIT)/stamp
	$(AUDIT)/tools/bin/cyclonedx-py environment --output-reproducible --mc-type application \
	  --output-file build/sbom.json $(AUDIT)/site/bin/python
	@echo "build/sbom.json: $$(grep -c '"bom-ref"' build/sbom.json) entries"

clean:
	rm -rf $(VENV) build demo

$(VENV)/demo.stamp: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/web.stamp: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[web]'
	touch $@ $(VENV)/demo.stamp

$(VENV)/reader.stamp: setup.cfg pyproject.toml | $(BIN)/python
	bash .ci/packages.sh reader
	$(BIN)/python -m pip install --quiet --editable '.[reader]'
	touch $@ $(VENV)/demo.stamp

# pyscard is compiled on Linux: where it cannot be, the tests with a card are skipped
$(VENV)/test.stamp: setup.cfg pyproject.toml | $(BIN)/python
	bash .ci/packages.sh
	$(BIN)/python -m pip install --quiet --editable '.[test,bench,web]'
	$(BIN)/python -m pip install --quiet --editable '.[reader]' || \
	  echo "pyscard could not be built: tests with a card reader will be skipped"
	touch $@ $(VENV)/demo.stamp $(VENV)/web.stamp

# what is looked at and what looks are apart: the tools are no part of the product
$(AUDIT)/stamp: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m venv $(AUDIT)/site
	$(AUDIT)/site/bin/python -m pip install --quiet --editable '.[web,reader]' || \
	  $(AUDIT)/site/bin/python -m pip install --quiet --editable '.[web]'
	$(BIN)/python -m venv $(AUDIT)/tools
	$(AUDIT)/tools/bin/python -m pip install --quiet 'pip-audit>=2.7' 'cyclonedx-bom>=5'
	touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 …"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  if [ "$$(id -u)" = 0 ]; then apt-get update && apt-get install -y python3-venv; \
	  else echo "venv is missing: sudo apt-get install python3-venv"; exit 2; fi
	$(PYTHON) -m venv $(VENV)
