"""Longer cuts: which video, which part of it, and exactly its frames."""

import pathlib

import av
import cv2
import numpy as np
import pytest

from tests.conftest import SIZE
from tfds_haa500.demo import archive as demo
from tfds_haa500.problems import ClipError
from tfds_haa500.sources import archive, clips, cut, relaxed
from tfds_haa500.sources.files import File
from tfds_haa500.streams import flow, video

ID = "dQw4w9-gXc_"
FPS, FRAMES, DARKEST = 10, 50, 20  # of the generated sources
TEXTURE = np.random.default_rng(0).permutation(np.resize([-10, 10], SIZE[0] * SIZE[1])).reshape(*SIZE, 1)
SUFFIXES = ("mp4", "mkv", "webm", "avi", "mov")


def write_source(path, num_frames=FRAMES, sound=0.0, container_options=None, **options):
    """A video whose frame t is 4 levels brighter than frame t - 1, and seconds of sound."""
    codec = "libvpx" if path.suffix == ".webm" else "mpeg4"
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=FPS, options={"b": "2M", "threads": "1", **options})
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        audio = container.add_stream("aac", rate=8000) if sound else None
        for t in range(num_frames):
            image = np.repeat(TEXTURE + DARKEST + 4 * t, 3, axis=2).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
        if audio:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, int(8000 * sound)), np.float32), "fltp", "mono")
            frame.sample_rate = 8000
            container.mux(audio.encode(frame))
            container.mux(audio.encode())


def numbers(frames) -> list[int]:
    """The numbers of frames, by their brightness."""
    means = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE).mean() for jpeg in frames]
    return [round((mean - DARKEST) / 4) for mean in means]


def part(path, start, end) -> clips.Clip:
    """A clip that is a part of the video at `path`."""
    annotation = clips.Annotation(f"https://youtu.be/{ID}", start, end)
    return clips.Clip("a_000", "train", "a", File(str(path.parent), path.name), annotation, is_part=True)


@pytest.mark.parametrize(
    "url",
    [
        "https://www.youtube.com/watch?v={}",
        "http://youtube.com/watch?feature=share&v={}&t=12s#t=3",
        "https://m.youtube.com/watch/?v={}&list=PL0123456789",
        "www.youtube.com/watch?v={}",
        "https://youtu.be/{}",
        "https://youtu.be/{}?si=x_yz&t=12",
        "https://www.youtube.com/embed/{}?start=3",
        "https://www.youtube-nocookie.com/embed/{}",
        "https://www.youtube.com/shorts/{}",
        "https://www.youtube.com/v/{}",
    ],
)
def test_video_id(url):
    assert relaxed.video_id(url.format(ID)) == ID


@pytest.mark.parametrize(
    "url",
    [
        "",
        "unknown",
        "https://www.youtube.com/watch?v=unknown",
        "https://www.youtube.com/watch",
        f"https://www.youtube.com/watch?v={ID}&v=abcdefghijk",
        f"https://www.youtube.com/watch?v={ID}x",
        "https://www.youtube.com/watch?v=../../../etc",
        f"https://www.youtube.com/channel/{ID}",
        f"https://vimeo.com/watch?v={ID}",
        f"https://notyoutube.com/watch?v={ID}",
        f"https://[youtu.be/{ID}",
    ],
)
def test_urls_without_an_id(url):
    with pytest.raises(ClipError, match="has no id of a video on YouTube") as error:
        relaxed.video_id(url)
    assert repr(url) in str(error.value)


def test_find_sources(tmp_path):
    release = tmp_path / archive.RELEASE
    with pytest.raises(ClipError, match="no such folder, neither in"):
        relaxed.find_sources(tmp_path)
    (release / "youtube").mkdir(parents=True)
    for name in (f"{ID}.webm", "abcdefghijk.MP4", "abcdefghijk.info.json", "lmnopqrstuv.mp4.part"):
        (release / "youtube" / name).touch()
    sources = relaxed.find_sources(tmp_path)
    assert sources == relaxed.find_sources(release)
    assert relaxed.source_of(f"https://youtu.be/{ID}", sources) == str(release / "youtube" / f"{ID}.webm")
    assert relaxed.source_of("https://youtu.be/abcdefghijk", sources).endswith("abcdefghijk.MP4")
    with pytest.raises(ClipError, match=r"youtube/lmnopqrstuv.mp4: no such file, nor one with .mkv, .webm"):
        relaxed.source_of("https://youtu.be/lmnopqrstuv", sources)
    with pytest.raises(ClipError, match="no id"):
        relaxed.source_of("https://youtu.be/short", sources)
    (tmp_path / "youtube").mkdir()
    (tmp_path / "youtube" / f"{ID}.mp4").touch()
    with pytest.raises(ClipError, match=rf"2 times: .*{ID}\.mp4, .*{ID}\.webm; keep one"):
        relaxed.source_of(f"https://youtu.be/{ID}", relaxed.find_sources(tmp_path))


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({"seconds": 0}, (10, 12)),
        ({"seconds": 3}, (7, 15)),
        ({"seconds": 11}, (0, 20)),
        ({"factor": 1}, (10, 12)),
        ({"factor": 4}, (7, 15)),
        ({"factor": 9.5}, (1.5, 20)),  # what one side lacks is not added to the other
        ({"factor": 100}, (0, 20)),
    ],
)
def test_window(context, expected):
    assert relaxed.window(10, 12, 20, **context) == expected


def test_a_window_of_factor_1_is_the_annotation_to_the_last_bit():
    for start, end in np.random.default_rng(0).uniform(0, 100, (200, 2)).round(2):
        assert relaxed.window(start, start + end, 300, factor=1) == (start, start + end)


def test_clips_that_the_video_does_not_reach():
    assert relaxed.window(10, 12, 11.6, seconds=1) == (9, 11.6)  # formats of one video differ in length
    for start, end in ((10, 12), (11.5, 11.7)):
        with pytest.raises(ClipError, match=r"ends at 11\.\d0 s, before the clip's end \(1"):
            relaxed.window(start, end, 11.4, seconds=1)


@pytest.mark.parametrize(
    ("context", "reason"),
    [
        ({}, "give one"),
        ({"seconds": 1, "factor": 2}, "give one"),
        ({"seconds": -1}, "context_seconds=-1, must be 0 or more"),
        ({"seconds": float("inf")}, "context_seconds=inf"),
        ({"factor": 0.5}, "context_factor=0.5, must be 1 or more"),
        ({"factor": float("nan")}, "context_factor=nan"),
    ],
)
def test_contexts_that_make_no_sense(context, reason, tmp_path):
    with pytest.raises(ValueError, match=reason):
        relaxed.window(1, 2, 3, **context)
    with pytest.raises(ValueError, match=reason):
        relaxed.encode(part(tmp_path / "none.mp4", 1, 2), **context)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_cut_holds_exactly_its_frames(tmp_path, suffix):
    path = tmp_path / f"{ID}.{suffix}"
    write_source(path, g="12")
    assert relaxed.duration(path) == pytest.approx(FRAMES / FPS, abs=1e-3)
    for start, end, context, first, last in (
        (2.0, 3.0, {"factor": 1}, 20, 30),
        (2.0, 3.0, {"factor": 2.2}, 14, 36),
        (1.37, 1.62, {"seconds": 1}, 4, 27),
        (0.3, 0.8, {"seconds": 1}, 0, 18),
        (4.1, 4.5, {"seconds": 1}, 31, 50),
        (2.0, 2.5, {"factor": 50}, 0, 50),
        (4.0, 5.2, {"factor": 1}, 40, 50),
    ):
        clip, cut_start, cut_end = relaxed.encode(part(path, start, end), **context)
        assert numbers(clip.frames) == list(range(first, last)), (start, end, context)
        assert cut_start - 1e-3 <= first / FPS < cut_start + 0.1
        assert cut_end - 0.1 - 1e-3 <= (last - 1) / FPS < cut_end
        assert (clip.fps, clip.size) == (FPS, SIZE[::-1])


def test_flow_of_a_cut(tmp_path):
    computation = flow.Computation("dis")
    write_source(tmp_path / "a.mp4")
    clip, *_ = relaxed.encode(part(tmp_path / "a.mp4", 1, 2), [computation], seconds=1)
    assert len(clip.frames) == 30
    assert {name: len(jpegs) for name, jpegs in computation.features().items()} == {"flow_x": 29, "flow_y": 29}


def test_only_the_part_is_decoded(tmp_path, monkeypatch):
    write_source(tmp_path / "a.mp4", g="5")
    decoded = []
    decode = cut._decode
    monkeypatch.setattr(cut, "_decode", lambda *args: (decoded.append(frame) or frame for frame in decode(*args)))
    clip, *_ = relaxed.encode(part(tmp_path / "a.mp4", 3, 3.5), seconds=0.2)
    assert len(clip.frames) == 9
    assert len(decoded) < 9 + 5 + 2 * FPS * cut._LEAD


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_cut_ends_with_the_pictures_not_with_the_sound(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    write_source(path, sound=9)
    with av.open(str(path)) as container:
        assert container.duration / av.time_base > 8.9
    assert relaxed.duration(path) == pytest.approx(FRAMES / FPS, abs=1e-3)
    clip, _, end = relaxed.encode(part(path, 3, 4), seconds=2)
    assert numbers(clip.frames) == list(range(10, 50))
    assert end == pytest.approx(5, abs=1e-3)
    with pytest.raises(ClipError, match=r"ends at 5\.00 s, before the clip's end \(6 to 7 s\)"):
        relaxed.encode(part(path, 6, 7), seconds=2)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_truncated_sources(tmp_path, suffix, share):
    path = tmp_path / f"a.{suffix}"
    fast_start = {"movflags": "+faststart"} if suffix in ("mp4", "mov") else None
    write_source(path, container_options=fast_start, g="1")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ClipError, match="truncated"):
        relaxed.encode(part(path, 4, 5), seconds=1)
    with pytest.raises(ClipError, match="truncated"):
        relaxed.encode(part(path, 0.5, 1), seconds=9)


def test_sources_truncated_within_the_last_frame_or_after_a_whole_one(tmp_path):
    write_source(tmp_path / "a.mp4", container_options={"movflags": "+faststart"})
    write_source(tmp_path / "a.avi", g="1")
    with av.open(str(tmp_path / "a.avi")) as container:
        last = [packet.pos for packet in container.demux(video=0) if packet.size][-1]
    for name, length, reason in (
        ("a.mp4", -3, "an incomplete packet"),
        ("a.avi", last, f"{FRAMES - 1} of {FRAMES} frames are there"),
    ):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:length])
        with pytest.raises(ClipError, match=f"truncated.*{reason}"):
            relaxed.encode(part(tmp_path / name, 1, 2), seconds=0)


def test_unreadable_sources(tmp_path):
    path = tmp_path / "a.mp4"
    with pytest.raises(FileNotFoundError):
        relaxed.encode(part(path, 1, 2), seconds=1)
    for data, reason in ((b"", "the file is empty"), (b"not a video" * 99, "cannot be decoded")):
        path.write_bytes(data)
        with pytest.raises(ClipError, match=reason):
            relaxed.encode(part(path, 1, 2), seconds=1)
    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        audio = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux([*audio.encode(frame), *audio.encode()])
    with pytest.raises(ClipError, match="has no video stream"):
        relaxed.encode(part(tmp_path / "sound.mkv", 0.1, 0.2), seconds=1)


def test_cuts_of_the_generated_archive(tmp_path):
    """From the annotations and the sources alone: the clip, with what comes before and after it."""
    root = tmp_path / archive.RELEASE
    demo.write_archive(root, clips_per_class=2, workers=1, classes=["squat_up"], kinds=["video", "youtube"])
    sources = relaxed.find_sources(tmp_path)
    for index, line in enumerate((root / "raw" / "squat_up.txt").read_text().splitlines()):
        row = archive.parse_row(line)
        clip = video.encode_clip((root / "video" / "squat_up" / f"squat_up_{index:03d}.mp4").read_bytes())
        path = pathlib.Path(relaxed.source_of(row.url, sources))
        exact, start, end = relaxed.encode(part(path, row.start, row.end), factor=1)
        assert (exact.frames, exact.fps, exact.size, start, end) == (
            clip.frames,
            clip.fps,
            clip.size,
            row.start,
            row.end,
        )
        longer, start, end = relaxed.encode(part(path, row.start, row.end), factor=2)
        first = next(i for i in range(len(longer.frames)) if longer.frames[i] == clip.frames[0])
        assert longer.frames[first : first + len(clip.frames)] == clip.frames
        assert abs(len(longer.frames) - 2 * len(clip.frames)) <= 1
        assert abs(first / clip.fps - (row.start - start)) < 1 / clip.fps
        assert end - start == pytest.approx(2 * (row.end - row.start))
