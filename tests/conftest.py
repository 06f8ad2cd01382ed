"""A small archive of four real class names in the release's layout, and the dataset built from it."""

import atexit
import contextlib
import fcntl
import gc
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable

from haa_jax.runtime.compiling import EIGEN_CONVOLUTIONS, IS_0_10, OBJECTS  # loads no JAX, whose flags are set below

# Eight devices, since much can only go wrong with several. Tests compile many programs and run each a few times:
# compiling is most of the work, and with these flags it takes a third of the time.
DEVICES = "--xla_force_host_platform_device_count=8"
QUICK_TO_COMPILE = "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
# As for users, for whole networks at full size.
OPTIMIZED = {"xla_backend_optimization_level": 3}
if IS_0_10:
    QUICK_TO_COMPILE += f" {EIGEN_CONVOLUTIONS} --xla_cpu_use_fusion_emitters=false"
    OPTIMIZED["xla_cpu_use_fusion_emitters"] = True
if "PYTEST_XDIST_WORKER" not in os.environ:  # workers inherit the environment
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {DEVICES} {QUICK_TO_COMPILE}"
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Else gcsfs and google-cloud-storage look for credentials, and for the kind of each bucket, at Google.
    os.environ |= {"FSSPEC_GCS_TOKEN": "anon", "NO_GCE_CHECK": "true", "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
    # All processes of a test session compile the same program once.
    _CACHE = tempfile.mkdtemp(prefix="haa_jax_test_cache")
    atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _CACHE
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"

import av
import numpy as np
import pytest

from tests.shallow_main import KEPT

# One class of each area; between them a space, a hyphen, an underscore and capitals.
CLASSES = ("CPR", "battle-rope_jumping-jack", "play_ otamatone", "play_erhu")
ROOT = pathlib.Path(__file__).resolve().parent.parent
SIZE = (48, 64)  # height, width
REAL_CLASS = pathlib.Path(__file__).resolve().parent.parent.parent / "shared" / "haa500_v1_1"


def write_video(path: pathlib.Path, num_frames: int, fps: int = 10, size: tuple[int, int] = SIZE, **options) -> None:
    """An H.264 file whose frame t is a gradient shifted by t, so that every frame can be told from the others."""
    with av.open(str(path), "w", **options) as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "10", "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        for t in range(num_frames):
            image = np.broadcast_to(numbered_frame(t, size)[..., None], (*size, 3)).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode())


def numbered_frame(t: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """(H, W) gray frame number t: brighter to the right, and by 4 levels a frame."""
    ramp = np.linspace(0, 60, size[1])
    return np.clip(np.broadcast_to(ramp, size) + 20 + 4 * t, 0, 255)


def write_archive(root: pathlib.Path, classes=CLASSES) -> pathlib.Path:
    """20 clips of 5 to 24 frames for each class."""
    (root / "raw").mkdir(parents=True)
    for name in classes:
        (root / "video" / name).mkdir(parents=True)
        rows = []
        for k in range(20):
            num_frames = 5 + k
            write_video(root / "video" / name / f"{name}_{k:03d}.mp4", num_frames)
            rows.append(f"https://www.youtube.com/watch?v=test{k},{k}.5,{k}.5{num_frames},{k % 2},1\n")
        (root / "raw" / f"{name}.txt").write_text("".join(rows))
    return root


def built_once(tmp_path_factory, name: str, build: Callable[[pathlib.Path], None]) -> pathlib.Path:
    """A folder of the test session that `build` fills; pytest-xdist's workers share it, and the first one fills it."""
    session = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        session = session.parent  # each worker has a folder of its own within the session's
    folder, done = session / name, session / f"{name}.done"
    with open(session / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            folder.mkdir()  # fails again in every worker if `build` failed in one
            build(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def archive_dir(tmp_path_factory) -> pathlib.Path:
    """Read only; a test that changes it takes a copy."""
    return built_once(tmp_path_factory, "manual", lambda folder: write_archive(folder / "haa500_v1_1")) / "haa500_v1_1"


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory, archive_dir) -> str:
    """Where `haa500/tiny` has been built: 64 training, 4 validation and 12 test clips of 4 classes."""
    import tensorflow_datasets as tfds

    from tfds_haa500 import Builder, Haa500Config

    def build(folder: pathlib.Path) -> None:
        builder = Builder(config=Haa500Config(name="tiny", classes=CLASSES), data_dir=str(folder))
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=str(archive_dir)))

    return str(built_once(tmp_path_factory, "tfds", build))


@pytest.fixture
def one_worker(monkeypatch):
    """Clips are decoded by one process: for a few, starting more takes longer."""
    monkeypatch.setenv("TFDS_HAA500_WORKERS", "1")


@pytest.fixture
def tiny_config(data_dir):
    """A config that trains a very narrow I3D on `haa500/tiny`, four steps an epoch."""
    from haa_jax.configs import i3d

    config = i3d.get_config()
    config.data.dataset = "haa500/tiny"
    config.data.data_dir = data_dir
    config.data.frames = 4
    config.data.resize = 36
    config.data.crop = 32
    config.data.threads = 2
    config.model.width = 0.05
    config.model.bn_momentum = 0.9
    config.train.batch_size = 16
    config.train.epochs = 2.0
    config.optimizer.learning_rate = 0.05
    config.optimizer.base_batch_size = 0
    config.eval.every_epochs = 1.0
    config.eval.batch_size = 1
    config.checkpoint.every_epochs = 0.25
    return config


@pytest.fixture
def shallow_i3d(monkeypatch):
    """What shallow_main.py has, in this process."""
    from haa_jax.models import i3d

    monkeypatch.setattr(i3d, "TRUNK", {name: i3d.TRUNK[name] for name in KEPT})


def use_devices(monkeypatch, number: int) -> None:
    """Experiments are of the first devices only."""
    import jax

    from haa_jax.runtime import mesh

    make_mesh = mesh.make_mesh
    monkeypatch.setattr(mesh, "make_mesh", lambda model=1: make_mesh(model, jax.devices()[:number]))


def heed_interrupts() -> None:
    """For `preexec_fn`: a job that a shell runs in the background ignores Ctrl-C, and so would what it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="session")
def object_store():
    """A stand-in for Google's object store (see object_store.py); yields its address."""
    pytest.importorskip("gcsfs", reason="gcsfs is not installed: pip install .[gcs]")
    command = [sys.executable, "-m", "tests.object_store"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.kill()


@pytest.fixture
def bucket(object_store, monkeypatch) -> str:
    """gs:// and a name that no other test has. Commands that a test starts find the store too."""
    for variable in ("STORAGE_EMULATOR_HOST", "TENSORSTORE_GCS_HTTP_URL"):
        monkeypatch.setenv(variable, object_store)
    monkeypatch.setenv("GOOGLE_AUTH_TOKEN_FOR_TESTING", "none")  # or tensorstore looks for the machine's
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "none")
    urllib.request.urlopen(f"{object_store}/control?fail=0&delay=0", data=b"").read()
    yield f"gs://{secrets.token_hex(4)}"
    urllib.request.urlopen(f"{object_store}/control?fail=0&delay=0", data=b"").read()


REQUIRE_ALL = os.environ.get("REQUIRE_ALL") == "1"
NO_NEED = ("Skipped: Not a test.",)  # TensorFlow's base class of test cases has a method that is called test_session


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """With REQUIRE_ALL=1 a test whose needs are missing fails instead of being skipped."""
    return _required((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return _required((yield))


def _required(report):
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if reason in NO_NEED:
            return report
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: REQUIRE_ALL=1 is set, and a need is missing: {reason}"
    return report


def pytest_collection_finish():
    """As the commands do (see compiling.py), and what was imported is never looked at again."""
    gc.freeze()
    gc.set_threshold(OBJECTS)


@pytest.fixture(scope="session", autouse=True)
def _nothing_left_running():
    """No test may leave a process behind, except loky's pool and resource trackers, which end with this process."""
    yield
    processes = [line for line in _child_processes() if "loky" not in line and "resource_tracker" not in line]
    assert not processes, f"left running: {processes}"


def _child_processes() -> list[str]:
    """The command lines of this process' children; a test's own name is often in them, by its tmp_path."""
    if sys.platform != "linux":
        return []
    found = []
    for children in pathlib.Path("/proc/self/task").glob("*/children"):
        for number in children.read_text().split():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                line = (
                    pathlib.Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
                found.append(f"{number}: {line}")
    return found
