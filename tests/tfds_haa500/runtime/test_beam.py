"""Builds by Apache Beam give what the plain build gives. They need `pip install .[beam]`, which is not in the lock."""

import os
import pathlib
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds

from tfds_haa500 import records

OPTIONS = "--beam_pipeline_options=runner=DirectRunner,direct_running_mode=multi_processing,direct_num_workers=2"
ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture
def by_beam():
    for package in ("apache_beam", "mlcroissant"):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install .[beam]")


def run(*arguments) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-m", *arguments], env=environment, capture_output=True, text=True)


def contents(name: str, data_dir) -> dict[str, list[bytes]]:
    """The stored examples of each split, in order, without the order of fields in them, which is left to protobuf."""
    builder, found = tfds.builder(name, data_dir=str(data_dir)), {}
    decoders = records.raw_frames(builder.info.features)
    for split, info in builder.info.splits.items():
        stored = [record for path in info.filepaths for _, record in records.iter_records(path)]
        examples = [builder.info.features.deserialize_example_np(record, decoders=decoders) for record in stored]
        found[split] = [repr(sorted((key, _plain(value)) for key, value in e.items())) for e in examples]
    return found


def _plain(value):
    return value.tolist() if hasattr(value, "tolist") else list(value) if isinstance(value, (list, tuple)) else value


@pytest.mark.slow
def test_the_demo_by_tfds_own_command_is_that_of_the_plain_build(by_beam, tmp_path):
    done = run("tfds_haa500.build", "--config=demo", f"--data_dir={tmp_path / 'plain'}")
    assert done.returncode == 0, done.stderr
    command = "tensorflow_datasets.scripts.cli.main", "build", "haa500/demo", "--imports=tfds_haa500"
    done = run(*command, f"--data_dir={tmp_path / 'beam'}", OPTIONS)
    assert done.returncode == 0, done.stderr
    plain, beam = (contents("haa500/demo", tmp_path / way) for way in ("plain", "beam"))
    assert {split: len(examples) for split, examples in beam.items()} == {"train": 256, "validation": 16, "test": 48}
    assert beam == plain


@pytest.mark.slow
def test_a_subset_is_that_of_the_plain_build(by_beam, tmp_path, archive_dir):
    subset = f"--manual_dir={archive_dir}", "--classes=CPR,play_erhu", "--name=two", "--streams=flow"
    for way, options in (("plain", []), ("beam", [OPTIONS])):
        done = run("tfds_haa500.build", *subset, f"--data_dir={tmp_path / way}", *options)
        assert done.returncode == 0, done.stderr
        assert "haa500/two/1.1.0: 40 clips (32 train, 2 validation, 6 test)" in done.stdout
    plain, beam = (contents("haa500/two", tmp_path / way) for way in ("plain", "beam"))
    assert beam == plain


def test_without_beam_it_says_what_to_install(tmp_path):
    hidden = "import sys; sys.modules['apache_beam'] = None\n"
    code = f"{hidden}import runpy; sys.argv = ['build', '--config=demo', '--data_dir={tmp_path / 'data'}', {OPTIONS!r}]"
    code += "\nrunpy.run_module('tfds_haa500.build', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "needs Apache Beam: pip install .[beam]" in done.stdout + done.stderr
    assert not (tmp_path / "data").exists()
