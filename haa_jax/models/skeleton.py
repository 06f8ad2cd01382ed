"""Skeletons as graphs: joints, bones, and the adjacency that ST-GCN convolves with."""

from typing import NamedTuple

import numpy as np


class Skeleton(NamedTuple):
    """A tree of joints.

    Attributes:
      joints: number of joints.
      bones: pairs of joints.
      center: joint nearest to the center of gravity, from which the spatial partition measures distances.
    """

    joints: int
    bones: tuple[tuple[int, int], ...]
    center: int


SKELETONS = {
    # AlphaPose and COCO; bones and center (the nose) of mmaction2's "coco" layout.
    "coco17": Skeleton(
        17,
        (
            *((15, 13), (13, 11), (16, 14), (14, 12), (11, 5), (12, 6)),  # legs and trunk
            *((9, 7), (7, 5), (10, 8), (8, 6), (5, 0), (6, 0)),  # arms, shoulders to the nose
            *((1, 0), (3, 1), (2, 0), (4, 2)),  # eyes and ears
        ),
        center=0,
    ),
    # OpenPose's COCO model with a neck, joint 1; yysijie/st-gcn net/utils/graph.py.
    "openpose18": Skeleton(
        18,
        (
            *((4, 3), (3, 2), (7, 6), (6, 5), (13, 12), (12, 11), (10, 9), (9, 8)),  # arms and legs
            *((11, 5), (8, 2), (5, 1), (2, 1), (0, 1)),  # trunk, shoulders and nose to the neck
            *((15, 0), (14, 0), (17, 15), (16, 14)),  # eyes and ears
        ),
        center=1,
    ),
}
PARTITIONS = ("released", "paper")


def spatial_adjacency(skeleton: Skeleton, partition: str) -> np.ndarray:
    """The adjacency with self-loops, normalized by column and split in three by ST-GCN's spatial configuration.

    Entry [k, v, w] is the weight with which joint v contributes to joint w in subset k. Subset 0 holds each joint
    itself, subset 1 its neighbors v that are at least as far from the center as w, and subset 2 its neighbors that are
    nearer (arXiv 1801.07455, section 3.3).

    Args:
      partition: "paper" measures distances in bones. "released" follows yysijie/st-gcn and mmaction2, which compute no
        distance above one bone: all joints farther from the center count as equally far, and most bones are in subset 1
        in both directions (mmskeleton issue 367). Published weights were trained with "released".

    Returns:
      (3, joints, joints) float32.
    """
    hops = hop_distances(skeleton)
    adjacency = (hops <= 1).astype(np.float64)
    normalized = adjacency / adjacency.sum(0)
    distance = hops[skeleton.center]
    if partition == "released":
        distance = np.minimum(distance, 2)
    nearer = distance[:, None] < distance[None, :]
    itself = hops == 0
    return np.stack([normalized * subset for subset in (itself, ~itself & ~nearer, ~itself & nearer)]).astype(
        np.float32
    )


def hop_distances(skeleton: Skeleton) -> np.ndarray:
    """Number of bones between any two joints: int (joints, joints)."""
    hops = np.full((skeleton.joints, skeleton.joints), skeleton.joints)
    np.fill_diagonal(hops, 0)
    for a, b in skeleton.bones:
        hops[a, b] = hops[b, a] = 1
    for via in range(skeleton.joints):  # Floyd and Warshall
        hops = np.minimum(hops, hops[:, via, None] + hops[None, via, :])
    return hops
