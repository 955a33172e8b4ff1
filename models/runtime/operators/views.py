"""Pictures inside a workflow: whole, cut out or turned, each with the way back to the picture it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from ..predictions import Array, Regions

CORNERS = np.array([[0, 1], [0, 3], [2, 1], [2, 3]])  # columns of a box in xyxy: its four corners
AS_IT_IS = np.eye(2, 3)  # the way back of a picture that nothing was done to
AS_IT_IS.flags.writeable = False


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A picture as a node sees it.

    image: RGB.  to_source: (2, 3) float64, from a point (x, y, 1) in its pixels to one in the source picture's.
    size: (width, height) of the source picture.
    """

    name: ClassVar[str] = "image"

    image: Image.Image
    to_source: Array
    size: tuple[int, int]

    @classmethod
    def whole(cls, image: Image.Image) -> View:
        """The source picture itself."""
        return cls(image, AS_IT_IS, image.size)

    def cut(self, box: Sequence[float]) -> View:
        """The part of it within xyxy, in its own pixels, made whole pixels outwards and kept inside; 1 × 1 at least.

        A box in source pixels goes through `from_source` first.
        """
        width, height = self.image.size
        x0, y0 = (min(max(int(np.floor(v)), 0), side - 1) for v, side in zip(box[:2], (width, height), strict=True))
        x1 = min(max(int(np.ceil(box[2])), x0 + 1), width)
        y1 = min(max(int(np.ceil(box[3])), y0 + 1), height)
        return self.changed(self.image.crop((x0, y0, x1, y1)), np.array([[1.0, 0, x0], [0, 1.0, y0]]))

    def changed(self, image: Image.Image, back: Array) -> View:
        """Another picture made from it. back: (2, 3), from the new one's pixels to this one's."""
        both = np.vstack([self.to_source, [0, 0, 1]]) @ np.vstack([back, [0, 0, 1]])
        return View(image, both[:2], self.size)

    def line(self, least: float = 0.0) -> dict[str, Any]:
        """`{"width", "height"}`: pictures are no text."""
        return {"width": self.image.width, "height": self.image.height}

    def boxes_to_source(self, boxes: Array) -> Array:
        """(N, 4) float64 xyxy from this view's pixels to the source's; around the corners if it is turned."""
        corners = boxes[:, CORNERS] @ self.to_source[:, :2].T + self.to_source[:, 2]
        found = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        return found.clip(0, np.array(self.size * 2, np.float64))

    def boxes_from_source(self, boxes: Array) -> Array:
        """(N, 4) float64 xyxy from the source's pixels to this view's, which they may leave."""
        inverse = np.linalg.inv(np.vstack([self.to_source, [0, 0, 1]]))[:2]
        corners = boxes[:, CORNERS] @ inverse[:, :2].T + inverse[:, 2]
        return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)

    def frame(self) -> Array:
        """(4,) float64: where it lies in the source."""
        whole = np.array([[0, 0, *self.image.size]], np.float64)
        return self.boxes_to_source(whole)[0]


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """Several views of one picture, and the regions they were cut from: row i is what view i shows.

    views: N of them.  regions: N rows, in the source picture's pixels.
    """

    name: ClassVar[str] = "images"

    views: tuple[View, ...]
    regions: Regions

    def __post_init__(self) -> None:
        if len(self.views) != len(self.regions):
            raise ValueError(f"views must be as many as regions, {len(self.regions)}, got {len(self.views)}")

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, which: Array | slice) -> Views:
        """Those that a mask, an index array or a slice picks."""
        picked = np.arange(len(self.views))[which]
        return Views(tuple(self.views[i] for i in picked), self.regions[picked])

    def line(self, least: float = 0.0) -> dict[str, Any]:
        """`{"images": [{"width", "height", "box"}]}`: where each lies in the source."""
        return {"images": [{**view.line(), "box": view.frame().tolist()} for view in self.views]}


def in_source(view: View, found: Regions) -> Regions:
    """What was found in a view, in the source picture's own pixels."""
    if np.array_equal(view.to_source, AS_IT_IS):  # the picture itself: not one bit of a box may change
        return found
    return replace(found, boxes=view.boxes_to_source(found.boxes))


def on_regions(views: Views, answers: Sequence, gives: str, concepts: tuple[str, ...]) -> Regions:
    """What a model says of views, as regions of the source picture, each with `parent`, the row of its view.

    gives: what the model answers on one picture.  concepts: that the regions can have.
    A detector's are what it found in all views. A classifier's are the views' own regions with its best concept and
    that one's score (and `concept_scores`), a clusterer's with the cluster; an embedder leaves concepts and scores as
    they are and adds `embedding`.
    """
    if gives == "regions":
        return _found(views, answers, concepts)
    regions, count = views.regions, len(views)
    more = {**regions.more, "parent": np.arange(count, dtype=np.int64)}
    if gives == "embeddings":
        vectors = np.stack([answer.vector for answer in answers]) if count else np.zeros((0, 0), np.float32)
        return replace(regions, more={**more, "embedding": vectors})
    if gives == "clusters":
        more.pop("concept_scores", None)  # of other concepts
        best = [(answer.score, answer.cluster) for answer in answers]
    else:
        best = [(float(answer.scores.max()), int(answer.scores.argmax())) for answer in answers]
        every = np.concatenate([np.zeros((0, len(concepts)), np.float32), *(answer.scores[None] for answer in answers)])
        more["concept_scores"] = every
    scores = np.array([score for score, _ in best], np.float32).clip(0, 1)
    labels = np.array([label for _, label in best], np.int64)
    return Regions(regions.boxes, scores, labels, concepts, more)


def _found(views: Views, answers: Sequence[Regions], concepts: tuple[str, ...]) -> Regions:
    """A detector's regions in every view, view by view."""
    found = [in_source(view, answer) for view, answer in zip(views.views, answers, strict=True)]
    parents = np.repeat(np.arange(len(found), dtype=np.int64), [len(each) for each in found])
    return joined(found, concepts, {"parent": parents})


def joined(found: Sequence[Regions], concepts: tuple[str, ...], more: dict[str, Array] | None = None) -> Regions:
    """Regions that share their concepts, one after the other; without their further columns but `more`."""
    return Regions(
        np.concatenate([np.zeros((0, 4)), *(each.boxes for each in found)]),
        np.concatenate([np.zeros(0, np.float32), *(each.scores for each in found)]),
        np.concatenate([np.zeros(0, np.int64), *(each.labels for each in found)]),
        concepts,
        more or {},
    )
