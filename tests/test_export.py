"""`python -m haa_jax.export`: a folder that gives the logits of the evaluation with JAX and NumPy alone."""

import subprocess
import sys

import numpy as np
import pytest
from absl import flags

from haa_jax import evaluate, export
from haa_jax.errors import UserError
from haa_jax.experiment import create_experiment
from haa_jax.exporting import folder, load
from haa_jax.exporting.folder import ExportError
from haa_jax.streams import images
from tests.exporting.networks import toy
from tests.test_restore import random_variables, save_run

# Only what `pip install jax numpy flatbuffers` installs can be imported.
SCRIPT = """
import sys

ALLOWED = {"jax", "jaxlib", "numpy", "scipy", "ml_dtypes", "opt_einsum", "flatbuffers", "load", "clips", "sampling"}


class Only:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        known = top in ALLOWED | sys.stdlib_module_names or top.startswith("_sysconfigdata")
        return self.finder.find_spec(name, path, target) if known else None


sys.meta_path[:] = map(Only, sys.meta_path)
try:
    import haa_jax
except ModuleNotFoundError:
    pass
else:
    sys.exit("haa_jax can be imported")
out, videos, logits_file = sys.argv[1:]
sys.path.insert(0, out)
import clips, load
import numpy as np

network, settings = load.network(), load.description()["preprocessing"]
with np.load(videos) as file:
    views = [clips.views(video, 10.0, settings) for video in file.values()]
logits = network({"rgb": np.concatenate(views[:2])})["atomic"]  # of two clips at once
averaged = [clips.average(rows, settings) for rows in (logits[:2], logits[2:], network({"rgb": views[2]})["atomic"])]
one = network({"rgb": views[0][:1]})["atomic"]
np.savez(logits_file, averaged=averaged, one=one, first=logits[0], names=load.description()["classes"]["atomic"])
"""


@pytest.fixture
def run(tiny_config, shallow_i3d, tmp_path):
    """(experiment, its test logits, workdir)."""
    tiny_config.eval.resize, tiny_config.eval.windows = 48, 2  # the size at which the frames are stored
    exp = create_experiment(tiny_config)
    variables = random_variables(exp, 1)
    save_run(exp, tmp_path / "run", {3: variables}, {3: 0.5})
    return exp, evaluate.predict(exp, variables, "test")["atomic"], tmp_path / "run"


def command(*arguments: str) -> str:
    """What the command prints."""
    options = flags.FlagValues()
    export.define(options)
    rest = options(["export", *map(str, arguments)])
    return export.run(rest[1:], options)


def test_the_folder_gives_the_logits_of_the_evaluation_with_jax_and_numpy_alone(run, tmp_path):
    exp, expected, workdir = run
    printed = command(workdir, f"--out={tmp_path / 'export'}")
    assert {file.name for file in (tmp_path / "export").iterdir()} == set(folder.FILES)
    assert "logits of a random clip differ by at most" in printed
    assert f"{(tmp_path / 'export' / 'program.jax_export').stat().st_size:,} bytes" in printed

    examples = [exp.splits["test"].reader[clip] for clip in (0, 4, 11)]
    videos = [np.stack([images.decode(frame) for frame in example["video"]]) for example in examples]
    np.savez(tmp_path / "videos.npz", *videos)
    arguments = [tmp_path / "export", tmp_path / "videos.npz", tmp_path / "logits.npz"]
    done = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "logits.npz") as found:
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found["averaged"], expected[[0, 4, 11]], rtol=0, atol=1e-5 * scale)
        np.testing.assert_allclose(found["one"][0], found["first"], rtol=0, atol=1e-5 * scale)
        assert tuple(found["names"]) == exp.classes["atomic"]


def test_an_export_with_other_logits_is_not_written(tmp_path, monkeypatch):
    network = toy("rgb")
    network_of = load.network
    monkeypatch.setattr(
        load, "network", lambda out: lambda clips: {head: -x for head, x in network_of(out)(clips).items()}
    )
    with pytest.raises(ExportError, match="the export's logits differ from the network's by"):
        export.export(network, tmp_path / "export", {"published_weights": "x"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a"], "--out=FOLDER must be given"),
        (["a", "b", "--out=x"], "one workdir is exported at a time, not a, b"),
        (["a", "--workdir=b", "--out=x"], "one workdir is exported at a time, not a, b"),
        (["a", "--weights=kinetics-400", "--out=x"], "not both"),
        (["--out=x"], "give --workdir=RUN or --weights="),
        (["nothing_here", "--out=x"], "nothing_here"),
        (["nothing_here", "--out=/etc/hostname"], "is a file or a link"),
    ],
)
def test_bad_command_lines(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        command(*arguments)
    assert not list(tmp_path.iterdir())
