# `make demo` and `make test` need nothing but Python 3.11 to 3.13 with venv: they set up the rest in .venv.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
IN_TWO := -n 2 --dist loadfile --no-loadscope-reorder
DEMO := demo_run
comma := ,
space := $(subst ,, )
DEMO_DATA := $(DEMO)/data
DEMO_ARGS := --config=configs/i3d.py:demo --config.data.data_dir=$(DEMO_DATA)
# Three test clips, as the video files that they were before they were packaged.
DEMO_CLASSES := apple_to_mouth kite_rise squat_up
DEMO_CLIPS := $(foreach name,$(DEMO_CLASSES),$(DEMO)/release/video/$(name)/$(name)_017.mp4)
DEMO_PREDICT := haa_jax.predict $(DEMO_CLIPS) --workdir=$(DEMO)/i3d --top_k=3

.PHONY: demo demo-one-frame demo-table pictures test test-all lint lock clean

demo: $(VENV)/installed
	$(RUN) -m tfds_haa500.build --config=demo --data_dir=$(DEMO_DATA)
	$(RUN) -m haa_jax.main $(DEMO_ARGS) --workdir=$(DEMO)/i3d
	test -d $(DEMO)/release || \
	  $(RUN) -m tfds_haa500.demo --out=$(DEMO)/release --kinds=video --classes=$(subst $(space),$(comma),$(DEMO_CLASSES))
	$(RUN) -m $(DEMO_PREDICT)
	$(RUN) -m haa_jax.report $(DEMO)/i3d
	@echo
	@echo "Trained, tested, and tried on three video files. The checkpoints and TensorBoard logs are in $(DEMO)/i3d."
	@echo "  $(RUN) -m $(DEMO_PREDICT)"
	@echo "  $(RUN) -m haa_jax.report $(DEMO)/i3d    wrote the page $(DEMO)/i3d/report/report.html"
	@echo "What to try next:"
	@echo "  $(VENV)/bin/tensorboard --logdir=$(DEMO)"
	@echo "  make demo-one-frame                              the same network with one frame: it cannot see motion"
	@echo "  $(RUN) -m haa_jax.main --config=configs/i3d.py:demo,joint --config.data.data_dir=$(DEMO_DATA) --workdir=$(DEMO)/joint"
	@echo "  $(RUN) -m tfds_haa500.build --manual_dir=DIR     package the real release (see README.md)"

demo-one-frame: $(VENV)/installed
	$(RUN) -m tfds_haa500.build --config=demo --data_dir=$(DEMO_DATA)
	$(RUN) -m haa_jax.main $(DEMO_ARGS) --config.data.frames=1 --workdir=$(DEMO)/i3d_one_frame

# What README shows: every network's demo with three seeds. Stop it and start it as you like.
demo-table: $(VENV)/installed
	$(RUN) -m benchmarks.demo --workdir=$(DEMO) --seeds=0,1,2

# What README shows, drawn from the runs of both demos.
pictures: demo demo-one-frame
	$(RUN) -m tools.pictures --workdir=$(DEMO)

# Two processes; one file's tests stay in one process and in order.
test: lint
	$(RUN) -m pytest $(IN_TWO)

test-all: lint
	$(RUN) -m pytest -m "" $(IN_TWO)

lint: $(VENV)/installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

# The exact versions of requirements.txt, checked by hash, then this project itself.
$(VENV)/installed: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; v in ((3, 11), (3, 12), (3, 13)) or sys.exit(f"Python 3.11 to 3.13 is needed, this is {sys.version}: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --require-hashes -r requirements.txt
	$(RUN) -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

# Resolves requirements.txt anew from the bounds in pyproject.toml (needs `uv`).
lock:
	uv pip compile --universal --generate-hashes --python-version 3.11 \
	  --extra train --extra array_record --extra dev --custom-compile-command "make lock" \
	  pyproject.toml -o requirements.txt

clean:
	rm -rf $(VENV) $(DEMO)
