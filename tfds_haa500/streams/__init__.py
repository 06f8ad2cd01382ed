"""What can be stored of a clip besides its RGB frames: one module a stream, and `STREAMS`, which lists them.

A stream is either computed from the stored frames while the clip is decoded, or read from a file of the user's next to
the videos, `<stream>/<class>/<clip>...`. Its module has:

    FILES             the names that a clip's file may have in <stream>/<class>/, the usual one first, for instance
                      ("{clip}.json",); a name without a suffix is a folder
    METHODS           the ways to compute it from the frames, the fastest first; () if it can only be read
    features()        the features that it adds to an example, by name
    metadata(method)  what readers of a built dataset must know, as plain values; {} for nothing
    read(file, clip)  the values of these features, from a clip's file (`sources.files.File`) and the decoded clip
                      (`video.EncodedClip`); raises ClipError with everything that is wrong with the file
    Computation(method)   only with METHODS: is called with each stored frame, (H, W, 3) uint8 BGR, in order; then its
                      features() returns the values. Both raise ClipError

Builders, the search for files, the build commands and the metadata take streams from `STREAMS`, in its order.
"""

from collections.abc import Sequence

from tfds_haa500.streams import boxes, flow, objects, pose

STREAMS = {"flow": flow, "pose": pose, "boxes": boxes, "objects": objects}


def check_names(names: Sequence[str]) -> None:
    """Raises ValueError for an unknown or repeated stream."""
    if not set(names) <= set(STREAMS) or len(set(names)) != len(names):
        raise ValueError(f"streams={','.join(names)!r}, must be any of {', '.join(STREAMS)}, each at most once")


def is_computed(name: str, method: str) -> bool:
    """Whether a stream is computed from the frames, and not read from files."""
    return method in STREAMS[name].METHODS
