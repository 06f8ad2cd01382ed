"""Writes frames.csv, crops.csv and rates.csv by running the authors' own code on clips of numbered frames.

    python -m tests.facts.authors CLONES

where CLONES holds clones of the repositories below as `owner+name/.git`. It needs torch, torchvision, PyYAML and NumPy,
and nothing of ours; the tests read what it wrote and do not run it. Of their modules what is imported besides is
replaced by mocks, their random draws by `draws.Draws`, and a clip by the numbers of its frames.
"""

import contextlib
import csv
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

LENGTHS = (7, 20, 40, 64, 300)
SHAPES = ((256, 340), (256, 341), (256, 343), (340, 256), (343, 256), (257, 301))
MOCKED = ("mmcv", "mmcv.parallel", "cv2", "scipy", "scipy.ndimage", "torchlight", "fvcore", "fvcore.common")


def read(repository: str, path: str) -> str:
    name, commit = repository.split("@")
    clone = pathlib.Path(sys.argv[1]) / name.replace("/", "+") / ".git"
    return subprocess.check_output(["git", "-C", clone, "show", f"{commit}:{path}"], text=True)


def load(repository: str, path: str, function: str = "", **siblings):
    """A module of theirs, or one function where the rest is not Python 3; `siblings` is what it imports beside it."""
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


@contextlib.contextmanager
def drawn(name: str):
    """Until it is left, `random` and `np.random` draw as `Draws(name)` does."""
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


def slowfast_clip(decoder, length: int, fps: int, window: int, windows: int = 10) -> list[int]:
    """What decoder.decode gives of a file with that many frames; frames are read by their times, as torchvision's
    reader does: those from video_pts_range's start to its end, both included."""
    tick = 512  # of the file's clock from one frame to the next

    def reader(_, video_pts_range, **kwargs):
        start, end = video_pts_range
        seen = [frame for frame in range(length) if start <= frame * tick and (end < 0 or frame * tick <= end)]
        return torch.tensor(seen).reshape(-1, 1, 1, 1), None

    meta = {"video_denominator": tick * fps, "video_numerator": 1, "has_video": True, "video_fps": fps}
    meta["video_duration"] = length / fps
    decoder.io = types.SimpleNamespace(_read_video_from_memory=reader)
    frames, _, _ = decoder.decode(b"file", [2], [32], window, windows, meta, backend="torchvision")
    return frames[0].flatten().tolist()


def tpn_clip(dataset, length: int, config: dict, test: bool) -> list[int]:
    """All frames that a sample of RawFramesDataset is made of."""
    sampler = dataset.RawFramesDataset.__new__(dataset.RawFramesDataset)
    sampler.num_segments, sampler.new_step, sampler.temporal_jitter = config["num_segments"], config["new_step"], False
    sampler.old_length, sampler.img_prefix = config["new_length"] * config["new_step"], ""
    sampler._load_image = lambda directory, template, modality, frame: [frame - 1]
    record = dataset.RawFramesRecord(["", length, 0])
    positions = sampler._get_test_indices(record) if test else sampler._sample_indices(record)
    return [int(frame) for frame in sampler._get_frames(record, "", "RGB", *positions)]


def tsn_clip(dataset, length: int, segments: int, stack: int, test: bool) -> list[int]:
    """The first frame, or field, of each segment of a sample of TSNDataSet."""
    sampler = dataset.TSNDataSet.__new__(dataset.TSNDataSet)
    sampler.num_segments, sampler.new_length = segments, stack
    sampler.dense_sample = sampler.twice_sample = False
    record = dataset.VideoRecord(["", length, 0])
    return [int(i) - 1 for i in (sampler._get_test_indices(record) if test else sampler._sample_indices(record))]


def frames():
    """(recipe, source, mode, length, fps, view, indices)."""

    def rows(recipe, source, clip, tests, fps=0, lengths=LENGTHS):
        """`clip(length)` is a training clip, `tests(length)` all windows of a test clip."""
        for length in lengths:
            for name in DRAWS:
                with drawn(name):
                    yield recipe, source, "train", length, fps, name, clip(length)
            for window, indices in enumerate(tests(length)):
                yield recipe, source, "test", length, fps, window, indices

    decoder = load(SLOWFAST, "slowfast/datasets/decoder.py", transform=None)
    for fps in (15, 25, 30):
        yield from rows(
            "slowfast:*", f"{SLOWFAST} slowfast/datasets/decoder.py:decode",
            lambda n, fps=fps: slowfast_clip(decoder, n, fps, -1),
            lambda n, fps=fps: [slowfast_clip(decoder, n, fps, window) for window in range(10)], fps,
        )  # fmt: skip
    dataset = load(TPN, "mmaction/datasets/rawframes_dataset.py", transforms=mock.MagicMock(), utils=mock.MagicMock())
    for recipe, path in (("tpn:slowonly", "kinetics400/tpn/r50f8s8.py"), ("tpn:tsm", "sthv1/tsm_tpn.py")):
        config = {}
        exec(read(TPN, f"config_files/{path}"), config)
        # Ten windows one after another; of the 16 segments every second one (models/recognizers/TSN2D.py, fcn_testing).
        part = (lambda i: slice(8 * i, 8 * i + 8)) if recipe == "tpn:slowonly" else (lambda i: slice(i, None, 2))
        yield from rows(
            recipe, f"{TPN} mmaction/datasets/rawframes_dataset.py:RawFramesDataset with config_files/{path}",
            lambda n, config=config: tpn_clip(dataset, n, config["data"]["train"], test=False),
            lambda n, config=config, part=part: [
                tpn_clip(dataset, n, config["data"]["test"], test=True)[part(i)]
                for i in range(10 if config["data"]["test"]["new_step"] == 8 else 2)
            ],
        )  # fmt: skip
    for repository, path, recipe, segments, at_test in (
        (TSN, "dataset.py", "tsn:bninception", 3, 25),
        (TSM, "ops/dataset.py", "tsn:resnet50", 5, 25),
        (TSM, "ops/dataset.py", "tsn:tsm", 8, 8),
    ):
        dataset = load(repository, path)
        dataset.randint = lambda high, size: np.random.randint(high, size=size)  # imported by name
        for word, stack in (("", 1), (",flow", 5)):
            yield from rows(
                recipe + word, f"{repository} {path}:TSNDataSet",
                lambda n, d=dataset, k=segments, s=stack: tsn_clip(d, n, k, s, test=False),
                lambda n, d=dataset, k=at_test, s=stack: [tsn_clip(d, n, k, s, test=True)],
            )  # fmt: skip
    tools = load(STGCN, "feeder/tools.py")
    padded = np.arange(300).reshape(1, 300, 1, 1)  # clips of any length, zeros behind their end
    yield from rows(
        "stgcn:*", f"{STGCN} feeder/tools.py:random_choose with config/st_gcn/kinetics-skeleton/train.yaml",
        lambda n: tools.random_choose(padded, 150).flatten().tolist(), lambda n: [range(300)],
    )  # fmt: skip


class Picture:
    """What a cropped Pillow image says of itself."""

    def __init__(self, size, box=None, flip=False):
        self.size, self.mode, self.box, self.flip = size, "RGB", box, flip

    def crop(self, box):
        return Picture(self.size, box)

    def copy(self):
        return self

    def transpose(self, _):
        return Picture(self.size, self.box, flip=True)


def crops():
    """(recipe, source, mode, height, width, view, boxes); a box is (top, left, height, width, flip)."""
    slowfast = load(SLOWFAST, "slowfast/datasets/transform.py", rand_augment=mock.Mock(), random_erasing=mock.Mock())
    tpn, tsn = load(TPN, "mmaction/datasets/transforms.py"), load(TSN, "transforms.py")
    tpn.mmcv.imcrop = lambda _, box: box

    def corner(cropped, side):  # of a picture whose two channels are the numbers of rows and columns
        return *(int(x) for x in cropped[:, 0, 0]), side, side, 0

    for height, width in SHAPES:
        grid = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"))
        shape = height, width
        three = [corner(slowfast.uniform_crop(grid, 256, place)[0], 256) for place in range(3)]
        yield "slowfast:*", f"{SLOWFAST} slowfast/datasets/transform.py:uniform_crop", "test", *shape, "", three
        for name in DRAWS:
            with drawn(name):
                drawn_box = [corner(slowfast.random_crop(grid[None], 224)[0][0], 224)]
            yield (
                "slowfast:*",
                f"{SLOWFAST} slowfast/datasets/transform.py:random_crop",
                "train",
                *shape,
                name,
                drawn_box,
            )
        if 256 in shape:
            boxes, _ = tpn.Group3CropSample(256)([np.empty(shape)])
            boxes = [(int(top), int(left), 256, 256, 0) for left, top, _, _ in boxes]
            yield "tpn:*", f"{TPN} mmaction/datasets/transforms.py:Group3CropSample", "test", *shape, "", boxes
        one = [corner(tsn.GroupCenterCrop(224)([grid])[0], 224)]
        yield "tsn:tsm*", f"{TSN} transforms.py:GroupCenterCrop", "test", *shape, "", one
        ten = [
            (top, left, bottom - top, right - left, int(picture.flip))
            for picture in tsn.GroupOverSample(224)([Picture((width, height))])
            for left, top, right, bottom in [picture.box]
        ]
        yield "tsn:resnet50* tsn:bninception*", f"{TSN} transforms.py:GroupOverSample", "test", *shape, "", ten
    for recipe, scales in (("tsn:*[0-9nm]", [1, 0.875, 0.75, 0.66]), ("tsn:*,flow", [1, 0.875, 0.75])):
        places = tsn.GroupMultiScaleCrop(224, scales)
        height, width = SHAPES[1]
        every = set()
        for size, place in itertools.product(range(10), range(13)):
            chosen = iter((size, place))
            with mock.patch.object(random, "choice", lambda these, chosen=chosen: these[next(chosen) % len(these)]):
                across, down, left, top = places._sample_crop_size((width, height))
            every.add((top, left, down, across, 0))
        yield recipe, f"{TSN} transforms.py:GroupMultiScaleCrop", "train", height, width, "every", sorted(every)


def rates():
    """(recipe, source, at, of, rate): of the kernels of a hidden layer, at a point of a training of that length."""

    def stepped(rate, drops, epochs):
        """Epochs around the drops, at the start and at the end."""
        for at in (0, *(drop + shift for drop in drops if drop < epochs for shift in (-0.5, 0.5)), epochs - 0.5):
            yield at, epochs, rate(int(at))

    policy = load(SLOWFAST, "slowfast/utils/lr_policy.py")
    defaults = re.findall(r"^_C\.SOLVER\.(\w+) = (.+)$", read(SLOWFAST, "slowfast/config/defaults.py"), re.M)
    for variant in ("4x16", "8x8"):
        path = f"configs/Kinetics/SLOWFAST_{variant}_R50.yaml"
        given = yaml.safe_load(read(SLOWFAST, path))["SOLVER"]
        solver = types.SimpleNamespace(**({name: yaml.safe_load(value) for name, value in defaults} | given))
        for at in (0, 0.5, 3.4, 17, 33.9, 34.1, 60, 98, 147, 195.9):
            rate = policy.get_lr_at_epoch(types.SimpleNamespace(SOLVER=solver), at)
            yield (
                f"slowfast:{variant}",
                f"{SLOWFAST} slowfast/utils/lr_policy.py with {path}",
                at,
                solver.MAX_EPOCH,
                rate,
            )
    hooks = load(MMCV, "mmcv/runner/hooks/lr_updater.py", hook=types.SimpleNamespace(Hook=object))
    for recipe, path in (("tpn:slowonly", "kinetics400/tpn/r50f8s8.py"), ("tpn:tsm", "sthv1/tsm_tpn.py")):
        config = {}
        exec(read(TPN, f"config_files/{path}"), config)
        hook = hooks.StepLrUpdaterHook(config["lr_config"]["step"])

        def rate(epoch, hook=hook, lr=config["optimizer"]["lr"]):
            return hook.get_lr(types.SimpleNamespace(epoch=epoch), lr)

        source = f"{MMCV} mmcv/runner/hooks/lr_updater.py:StepLrUpdaterHook with {TPN} config_files/{path}"
        for row in stepped(rate, config["lr_config"]["step"], config["total_epochs"]):
            yield recipe, source, *row
    for repository, recipe, where, lr, drops, epochs in (
        (TSN, "tsn:bninception", "README.md (RGB)", 0.001, [30, 60], 80),
        (TSN, "tsn:bninception,flow", "README.md (Flow)", 0.001, [190, 300], 340),
        (TSM, "tsn:resnet50*", "scripts/train_tsn_kinetics_rgb_5f.sh", 0.02, [20, 40], 50),
        (TSM, "tsn:tsm*", "scripts/train_tsm_kinetics_rgb_8f.sh", 0.02, [20, 40], 50),
    ):
        words = f"--lr {lr} ", f"--lr_steps {drops[0]} {drops[1]} --epochs {epochs} "
        if not all(word.replace(" --wd 1e-4", "") in read(repository, where.split()[0]) for word in words):
            raise SystemExit(f"{where} says otherwise")
        main = load(repository, "main.py", function="adjust_learning_rate")
        main.args = types.SimpleNamespace(lr=lr, weight_decay=0)

        def rate(epoch, main=main, drops=drops, extra=() if repository == TSN else ("step",)):
            group = {"lr_mult": 1, "decay_mult": 1}
            main.adjust_learning_rate(types.SimpleNamespace(param_groups=[group]), epoch, *extra, drops)
            return group["lr"]

        for row in stepped(rate, drops, epochs):
            yield recipe, f"{repository} main.py:adjust_learning_rate with {where}", *row
    for recipe, part in zip(("i3d i3d:pose", "i3d:flow"), read(I3D, "README.md").split("\nFlow:\n"), strict=True):
        steps = re.findall(r"^\*   ([\d.]+)k? - ([\d.]+)k: (.+)$", part, re.M)  # thousands
        last = float(steps[-1][1])
        for start, end, rate in steps:
            for at in (float(start) + (0.5 if float(start) else 0), float(end) - 0.5):
                yield recipe, f"{I3D} README.md", at, last, rate
    path = "config/st_gcn/kinetics-skeleton/train.yaml"
    given = yaml.safe_load(read(STGCN, path))
    recognition = load(STGCN, "processor/recognition.py", processor=types.SimpleNamespace(Processor=object))
    arguments = types.SimpleNamespace(optimizer="SGD", base_lr=given["base_lr"], step=given["step"])

    def rate(epoch):
        run = types.SimpleNamespace(arg=arguments, meta_info={"epoch": epoch}, optimizer=mock.Mock(param_groups=[]))
        recognition.REC_Processor.adjust_lr(run)
        return run.lr

    for row in stepped(rate, given["step"], given["num_epoch"]):
        yield "stgcn:*", f"{STGCN} processor/recognition.py:adjust_lr with {path}", *row


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
    np.random.seed(0)
    write(
        "frames.csv",
        "recipes source mode length fps view indices",
        [(*row[:-1], runs(row[-1])) for row in frames()],
    )
    write(
        "crops.csv",
        "recipes source mode height width view boxes",
        [(*row[:-1], "; ".join(" ".join(map(str, box)) for box in row[-1])) for row in crops()],
    )
    write("rates.csv", "recipes source at of rate", rates())
