"""Fixed-function steps of workflows, by name: no weights, every parameter with a default, a range and help."""

from __future__ import annotations

from .act import Webhook, WriteAnnotations, WriteCrops
from .aggregate import ObjectCounter, ReadingOrder, TrackVote, Vote
from .concepts import ConceptMap
from .edit import ImageCrop, ImageResize, ImageRotate
from .filter import ConceptThresholder, NonMaxSuppression, RandomSample, RegionThresholder, SelectConcepts, TopK
from .lines import LineCounter
from .look import Blur, ColorRecognizer, Draw, Fill, RegionColors
from .merge import RegionMerge
from .operator import Operator
from .tile import ImageTile, TileMerge
from .track import ByteTrack, Centroid, OcSort, Sort

OPERATORS: dict[str, type[Operator]] = {
    "image-crop": ImageCrop,
    "image-resize": ImageResize,
    "image-rotate": ImageRotate,
    "image-tile": ImageTile,
    "tile-merge": TileMerge,
    "concept-thresholder": ConceptThresholder,
    "region-thresholder": RegionThresholder,
    "select-concepts": SelectConcepts,
    "non-max-suppression": NonMaxSuppression,
    "top-k": TopK,
    "random-sample": RandomSample,
    "concept-map": ConceptMap,
    "object-counter": ObjectCounter,
    "region-merge": RegionMerge,
    "vote": Vote,
    "track-vote": TrackVote,
    "reading-order": ReadingOrder,
    "color-recognizer": ColorRecognizer,
    "region-colors": RegionColors,
    "blur": Blur,
    "fill": Fill,
    "draw": Draw,
    "byte-track": ByteTrack,
    "centroid": Centroid,
    "oc-sort": OcSort,
    "sort": Sort,
    "line-counter": LineCounter,
    "write-annotations": WriteAnnotations,
    "write-crops": WriteCrops,
    "webhook": Webhook,
}
