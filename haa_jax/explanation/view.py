"""The view of a video that is explained: the middle one of those that the test averages."""

from typing import NamedTuple

import numpy as np

from haa_jax import streams
from haa_jax.data import augment, pipeline
from haa_jax.data.views import Clip, ClipViews, empty_clips, row


class View(NamedTuple):
    """What the network saw of a video.

    Attributes:
      clips: the view as a batch of one.
      frames: int (frames,), the number of the video's frame at each step; of a stack of flow, its middle. Beyond the
        last frame where a short video is padded with empty skeletons.
      regions: float (frames, 4), the part of each frame that was seen: x, y, width, height in 0..1 of the frame.
    """

    clips: Clip
    frames: np.ndarray
    regions: np.ndarray


def middle_view(example: dict, data, views: pipeline.Views) -> View:
    """The view in the middle, in time and in space.

    Args:
      example: a stored clip.
      data, views: those of the test, `TrainedNetwork.data` and `.views`.
    """
    num_frames = streams.leading(data).num_frames(example)
    (total,) = pipeline.num_views([num_frames], data, views)
    number = total // views.crops // 2 * views.crops + augment.CENTER[views.crops]
    clip_views = ClipViews(lambda: example, data, *views)
    positions, regions = clip_views.region(number)
    clips = empty_clips(data, 1)
    clip_views.write(number, row(clips, 0))
    frames = positions + data.flow_stack // 2
    return View(clips, np.minimum(frames, num_frames - 1) if streams.is_cropped(data) else frames, regions)
