"""Writes frames.csv, crops.csv and rates.csv by running the authors' code on clips of numbered frames.

    python -m tests.facts.authors CLONES

CLONES has clones of the repositories below as `owner+name/.git`. This needs torch, torchvision, PyYAML and NumPy, and
nothing of haa_jax; the tests read the files and do not run it. The authors' other imports are replaced by mocks, their
random draws by `draws.Draws`, and a clip by the numbers of its frames.
"""

import contextlib
import csv
import functools
import itertools
import pathlib
import random
import re
import subprocess
import sys
import types
from unittest import mock

import numpy as np
import torch
import yaml

from tests.facts.draws import DRAWS, Draws

SLOWFAST = "facebookresearch/SlowFast@287ec00"
TPN = "decisionforce/TPN@117a4d1"
I3D = "google-deepmind/kinetics-i3d@0667e88"
MMCV = "open-mmlab/mmcv@v0.2.10"  # the version that TPN's INSTALL.md asks for
TSN = "yjxiong/tsn-pytorch@2f0468e"
TSM = "mit-han-lab/temporal-shift-module@1f6a834"
STGCN = "yysijie/st-gcn@221c0e1"

LENGTHS = (7, 17, 20, 40, 64, 300)
SHAPES = ((256, 340), (256, 341), (256, 343), (340, 256), (343, 256), (257, 301))
MOCKED = ("mmcv", "mmcv.parallel", "cv2", "scipy", "scipy.ndimage", "torchlight", "fvcore", "fvcore.common")


def read(repository: str, path: str) -> str:
    name, commit = repository.split("@")
    clone = pathlib.Path(sys.argv[1]) / name.replace("/", "+") / ".git"
    return subprocess.check_output(["git", "-C", clone, "show", f"{commit}:{path}"], text=True)


def load(repository: str, path: str, function: str = "", **siblings):
    """A module of the authors, or one function of it if the rest is not Python 3.

    `siblings` are the modules that it imports from its own package.
    """
    module = types.ModuleType("theirs." + pathlib.PurePath(path).stem)
    module.__package__ = "theirs"
    others = {name: mock.MagicMock() for name in MOCKED} | {"theirs": types.SimpleNamespace(__path__=[], **siblings)}
    others |= {f"theirs.{name}": sibling for name, sibling in siblings.items()}
    text = read(repository, path)
    if function:
        text = "import numpy as np\n" + re.search(rf"^def {function}\(.*?(?=^\S)", text, re.M | re.S)[0]
    sys.modules.update(others)
    exec(compile(text, path, "exec"), module.__dict__)
    return module


def tpn_config(path: str) -> dict:
    config = {}
    exec(read(TPN, f"config_files/{path}"), config)
    return config


@contextlib.contextmanager
def drawn(name: str):
    """Within this context, `random` and `np.random` draw as `Draws(name)` does."""
    draws = Draws(name)
    by_hand = {
        (random, "uniform"): draws.uniform,
        (random, "randint"): lambda low, high: low + draws.integers(high - low + 1),
        (np.random, "randint"): lambda low, high=None, size=None: (
            draws.integers(low, size=size) if high is None else low + draws.integers(high - low, size=size)
        ),
    }
    with contextlib.ExitStack() as stack:
        for (module, function), ours in by_hand.items():
            stack.enter_context(mock.patch.object(module, function, ours))
        yield


def frame_rows(recipes: str, source: str, clip, windows: int, fps: int = 0):
    """Rows of frames.csv; `clip(length, None)` is a training clip, `clip(length, i)` window i of a test clip."""
    for length in LENGTHS:
        for name in DRAWS:
            with drawn(name):
                yield recipes, source, "train", length, fps, name, runs(clip(length, None))
        for window in range(windows):
            yield recipes, source, "test", length, fps, window, runs(clip(length, window))


def slowfast_frames():
    """Of decoder.decode on a file whose frames are read by their times, as torchvision's reader does: those from
    video_pts_range's start to its end, both included."""
    decoder = load(SLOWFAST, "slowfast/datasets/decoder.py", transform=None)
    tick = 512  # of the file's clock from one frame to the next

    def clip(fps, length, window):
        def reader(_, video_pts_range, **kwargs):
            start, end = video_pts_range
            seen = [frame for frame in range(length) if start <= frame * tick and (end < 0 or frame * tick <= end)]
            return torch.tensor(seen).reshape(-1, 1, 1, 1), None

        meta = {"video_denominator": tick * fps, "video_numerator": 1, "has_video": True, "video_fps": fps}
        meta["video_duration"] = length / fps
        decoder.io = types.SimpleNamespace(_read_video_from_memory=reader)
        window = -1 if window is None else window
        sampled, _, _ = decoder.decode(bytearray(b"file"), [2], [32], window, 10, meta, backend="torchvision")
        return sampled[0].flatten()

    for fps in (15, 25, 30):
        source = f"{SLOWFAST} slowfast/datasets/decoder.py:decode"
        yield from frame_rows("slowfast:*", source, functools.partial(clip, fps), 10, fps)


def tpn_frames():
    """Of RawFramesDataset, which concatenates the windows; at test, every second of tsm's 16 segments belongs to one
    window (models/recognizers/TSN2D.py:forward_test)."""
    dataset = load(TPN, "mmaction/datasets/rawframes_dataset.py", transforms=mock.MagicMock(), utils=mock.MagicMock())

    def clip(config, window_of, length, window):
        config = config["train" if window is None else "test"]
        sampler = dataset.RawFramesDataset.__new__(dataset.RawFramesDataset)
        sampler.num_segments, sampler.new_step = config["num_segments"], config["new_step"]
        sampler.temporal_jitter, sampler.img_prefix = False, ""
        sampler.old_length = config["new_length"] * config["new_step"]
        sampler._load_image = lambda directory, template, modality, frame: [frame - 1]
        record = dataset.RawFramesRecord(["", length, 0])
        positions = sampler._sample_indices(record) if window is None else sampler._get_test_indices(record)
        images = sampler._get_frames(record, "", "RGB", *positions)
        return images if window is None else images[window_of(window)]

    source = f"{TPN} mmaction/datasets/rawframes_dataset.py:RawFramesDataset with config_files"
    for recipe, path, windows, window_of in (
        ("tpn:slowonly", "kinetics400/tpn/r50f8s8.py", 10, lambda i: slice(8 * i, 8 * i + 8)),
        ("tpn:tsm", "sthv1/tsm_tpn.py", 2, lambda i: slice(i, None, 2)),
    ):
        data = tpn_config(path)["data"]
        yield from frame_rows(recipe, f"{source}/{path}", functools.partial(clip, data, window_of), windows)


def tsn_frames():
    """Of TSNDataSet: the first frame, or field, of each segment."""

    def clip(dataset, stack, segments, at_test, length, window):
        sampler = dataset.TSNDataSet.__new__(dataset.TSNDataSet)
        sampler.num_segments, sampler.new_length = segments if window is None else at_test, stack
        sampler.dense_sample = sampler.twice_sample = False
        record = dataset.VideoRecord(["", length, 0])
        positions = sampler._sample_indices(record) if window is None else sampler._get_test_indices(record)
        return positions - 1

    for repository, path, recipe, *segments in (
        (TSN, "dataset.py", "tsn:bninception", 3, 25),
        (TSM, "ops/dataset.py", "tsn:resnet50", 5, 25),
        (TSM, "ops/dataset.py", "tsn:tsm", 8, 8),
    ):
        dataset = load(repository, path)
        dataset.randint = lambda high, size: np.random.randint(high, size=size)  # the authors import it by name
        for variants, stack in ((recipe, 1), (f"{recipe},flow", 5)):
            of_clip = functools.partial(clip, dataset, stack, *segments)
            yield from frame_rows(variants, f"{repository} {path}:TSNDataSet", of_clip, 1)


def stgcn_frames():
    """Of the feeder: clips of any length are padded to 300 frames, all of which a test sees."""
    tools = load(STGCN, "feeder/tools.py")
    padded = np.arange(300).reshape(1, 300, 1, 1)
    source = f"{STGCN} feeder/tools.py:random_choose with config/st_gcn/kinetics-skeleton/train.yaml"

    def clip(length, window):
        return (tools.random_choose(padded, 150) if window is None else padded).flatten()

    yield from frame_rows("stgcn:*", source, clip, 1)


class Picture:
    """The part of a Pillow image that the crops use; it records its box and whether it is mirrored."""

    def __init__(self, size, box=None, flip=False):
        self.size, self.mode, self.box, self.flip = size, "RGB", box, flip

    def crop(self, box):
        return Picture(self.size, box)

    def copy(self):
        return self

    def transpose(self, _):
        return Picture(self.size, self.box, flip=True)


def boxes(*corners_and_flips, side: int) -> str:
    return "; ".join(f"{top} {left} {side} {side} {flip:d}" for top, left, flip in corners_and_flips)


def crops():
    """Rows of crops.csv; a box is top, left, height, width and whether it is mirrored."""
    slowfast = load(SLOWFAST, "slowfast/datasets/transform.py", rand_augment=mock.Mock(), random_erasing=mock.Mock())
    tpn, tsn = load(TPN, "mmaction/datasets/transforms.py"), load(TSN, "transforms.py")
    tpn.mmcv.imcrop = lambda _, box: box

    def corner(cropped):  # of a picture whose two channels are its row and column numbers
        return *cropped[:, 0, 0].tolist(), False

    for height, width in SHAPES:
        grid = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"))
        three = [corner(slowfast.uniform_crop(grid, 256, place)[0]) for place in range(3)]
        source = f"{SLOWFAST} slowfast/datasets/transform.py"
        yield "slowfast:*", f"{source}:uniform_crop", "test", height, width, "", boxes(*three, side=256)
        for name in DRAWS:
            with drawn(name):
                cropped, _ = slowfast.random_crop(grid[None], 224)
            yield (
                "slowfast:*",
                f"{source}:random_crop",
                "train",
                height,
                width,
                name,
                boxes(corner(cropped[0]), side=224),
            )
        if 256 in (height, width):  # as Group3CropSample requires
            three = [
                (top, left, False) for left, top, _, _ in tpn.Group3CropSample(256)([np.empty((height, width))])[0]
            ]
            source = f"{TPN} mmaction/datasets/transforms.py:Group3CropSample"
            yield "tpn:*", source, "test", height, width, "", boxes(*three, side=256)
        one = corner(tsn.GroupCenterCrop(224)([grid])[0])
        yield "tsn:tsm*", f"{TSN} transforms.py:GroupCenterCrop", "test", height, width, "", boxes(one, side=224)
        ten = [(cut.box[1], cut.box[0], cut.flip) for cut in tsn.GroupOverSample(224)([Picture((width, height))])]
        source = f"{TSN} transforms.py:GroupOverSample"
        yield "tsn:resnet50* tsn:bninception*", source, "test", height, width, "", boxes(*ten, side=224)
    yield from multi_scale_crops(tsn)


def multi_scale_crops(tsn):
    """Every box that GroupMultiScaleCrop can choose, with the scales of TSN's models.py:get_augmentation."""
    height, width = SHAPES[1]
    for recipes, scales in (
        ("tsn:resnet50 tsn:bninception tsn:tsm", [1, 0.875, 0.75, 0.66]),
        ("tsn:*,flow", [1, 0.875, 0.75]),
    ):
        every = set()
        for chosen in itertools.product(range(10), range(13)):
            rest = iter(chosen)
            with mock.patch.object(random, "choice", lambda these, rest=rest: these[next(rest) % len(these)]):
                across, down, left, top = tsn.GroupMultiScaleCrop(224, scales)._sample_crop_size((width, height))
            every.add(f"{top} {left} {down} {across} 0")
        source = f"{TSN} transforms.py:GroupMultiScaleCrop"
        yield recipes, source, "train", height, width, "every", "; ".join(sorted(every))


def stepped(recipes: str, source: str, rate, drops: list[int], epochs: int):
    """Rows of rates.csv around the drops, at the start and at the end; `rate(epoch)`."""
    around = (drop + shift for drop in drops if drop < epochs for shift in (-0.5, 0.5))
    for at in (0, *around, epochs - 0.5):
        yield recipes, source, at, epochs, f"{rate(int(at)):.9g}"


def slowfast_rates():
    policy = load(SLOWFAST, "slowfast/utils/lr_policy.py")
    defaults = re.findall(r"^_C\.SOLVER\.(\w+) = (.+)$", read(SLOWFAST, "slowfast/config/defaults.py"), re.M)
    for variant in ("4x16", "8x8"):
        path = f"configs/Kinetics/SLOWFAST_{variant}_R50.yaml"
        given = yaml.safe_load(read(SLOWFAST, path))["SOLVER"]
        solver = types.SimpleNamespace(**({name: yaml.safe_load(value) for name, value in defaults} | given))
        source = f"{SLOWFAST} slowfast/utils/lr_policy.py with {path}"
        for at in (0, 0.5, 3.4, 17, 33.9, 34.1, 60, 98, 147, 195.9):
            rate = policy.get_lr_at_epoch(types.SimpleNamespace(SOLVER=solver), at)
            yield f"slowfast:{variant}", source, at, solver.MAX_EPOCH, f"{rate:.9g}"


def tpn_rates():
    hooks = load(MMCV, "mmcv/runner/hooks/lr_updater.py", hook=types.SimpleNamespace(Hook=object))
    for recipe, path in (("tpn:slowonly", "kinetics400/tpn/r50f8s8.py"), ("tpn:tsm", "sthv1/tsm_tpn.py")):
        config = tpn_config(path)
        drops = config["lr_config"]["step"]
        hook, lr = hooks.StepLrUpdaterHook(drops), config["optimizer"]["lr"]
        source = f"{MMCV} mmcv/runner/hooks/lr_updater.py:StepLrUpdaterHook with {TPN} config_files/{path}"
        rate = functools.partial(lambda hook, lr, epoch: hook.get_lr(types.SimpleNamespace(epoch=epoch), lr), hook, lr)
        yield from stepped(recipe, source, rate, drops, config["total_epochs"])


def tsn_rates():
    """Of main.py with the arguments in the authors' command lines."""

    def rate(main, arguments, epoch):
        group = {"lr_mult": 1, "decay_mult": 1}
        main.adjust_learning_rate(types.SimpleNamespace(param_groups=[group]), epoch, *arguments)
        return group["lr"]

    for repository, recipe, path, number in (
        (TSN, "tsn:bninception", "README.md", 0),
        (TSN, "tsn:bninception,flow", "README.md", 1),
        (TSM, "tsn:resnet50*", "scripts/train_tsn_kinetics_rgb_5f.sh", 0),
        (TSM, "tsn:tsm*", "scripts/train_tsm_kinetics_rgb_8f.sh", 0),
    ):
        command = re.findall(r"--lr (\S+) .*?--lr_steps (\d+) (\d+) --epochs (\d+)", read(repository, path))[number]
        lr, *drops, epochs = map(float, command)
        main = load(repository, "main.py", function="adjust_learning_rate")
        main.args = types.SimpleNamespace(lr=lr, weight_decay=0)
        arguments = (drops,) if repository == TSN else ("step", drops)
        source = f"{repository} main.py:adjust_learning_rate with {path}, command {number + 1}"
        yield from stepped(recipe, source, functools.partial(rate, main, arguments), drops, epochs)


def i3d_rates():
    """The list of the README, in thousands of steps."""
    for recipes, part in zip(("i3d i3d:pose", "i3d:flow"), read(I3D, "README.md").split("\nFlow:\n"), strict=True):
        steps = re.findall(r"^\*   ([\d.]+)k? - ([\d.]+)k: (.+)$", part, re.M)
        for start, end, rate in ((float(start), float(end), rate) for start, end, rate in steps):
            for at in (start + 0.5 if start else start, end - 0.5):
                yield recipes, f"{I3D} README.md", at, steps[-1][1], rate


def stgcn_rates():
    path = "config/st_gcn/kinetics-skeleton/train.yaml"
    given = yaml.safe_load(read(STGCN, path))
    recognition = load(STGCN, "processor/recognition.py", processor=types.SimpleNamespace(Processor=object))
    arguments = types.SimpleNamespace(optimizer="SGD", base_lr=given["base_lr"], step=given["step"])

    def rate(epoch):
        run = types.SimpleNamespace(arg=arguments, meta_info={"epoch": epoch}, optimizer=mock.Mock(param_groups=[]))
        recognition.REC_Processor.adjust_lr(run)
        return run.lr

    source = f"{STGCN} processor/recognition.py:adjust_lr with {path}"
    yield from stepped("stgcn:*", source, rate, given["step"], given["num_epoch"])


def write(name: str, columns: str, rows) -> None:
    with open(pathlib.Path(__file__).parent / name, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns.split())
        writer.writerows(rows)


def runs(indices) -> str:
    """Frame numbers in a cell: "0 2 4", and "150-299" for many in a row."""
    numbers = [int(i) for i in indices]
    if len(numbers) > 32 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}-{numbers[-1]}"
    return " ".join(map(str, numbers))


if __name__ == "__main__":
    frames = (slowfast_frames, tpn_frames, tsn_frames, stgcn_frames)
    rates = (slowfast_rates, tpn_rates, tsn_rates, i3d_rates, stgcn_rates)
    write("frames.csv", "recipes source mode length fps view indices", (row for rows in frames for row in rows()))
    write("crops.csv", "recipes source mode height width view boxes", crops())
    write("rates.csv", "recipes source at of rate", (row for rows in rates for row in rows()))
