"""One image's line in `annotations.jsonl`: the form every format is read into and written from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

Box = tuple[float, float, float, float]
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Annotation:
    """What is known of one image.

    image: path below the dataset's `images/`, with `/`.  sha256: of the file's bytes.
    width, height: pixels of the image as a person sees it (after its EXIF orientation).
    split: `train`, `val` or `test`.  concepts: of the image as a whole, sorted.
    boxes: xyxy, pixels, x0 < x1 and y0 < y1, inside the image; `areas`, `box_concepts`, `crowd` and
    `difficult` have one entry a box.  areas: square pixels (a COCO segmentation's own, else w × h).
    metadata: whatever else the source said, JSON values only.
    """

    image: str
    sha256: str
    width: int
    height: int
    split: str
    concepts: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    areas: tuple[float, ...] = ()
    box_concepts: tuple[str, ...] = ()
    crowd: tuple[bool, ...] = ()
    difficult: tuple[bool, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        counts = {name: len(getattr(self, name)) for name in ("boxes", "areas", "box_concepts", "crowd", "difficult")}
        if len(set(counts.values())) > 1:
            raise ValueError(f"{self.image}: columns of different lengths: {counts}")
        if self.split not in SPLITS:
            raise ValueError(f"{self.image}: split {self.split!r} is not one of {', '.join(SPLITS)}")

    def line(self) -> str:
        """The canonical JSON of this annotation: the same annotation gives the same bytes."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def parse(cls, line: str) -> Annotation:
        """An annotation from its line. Raises ValueError, KeyError or TypeError on anything else."""
        row = json.loads(line)
        unknown = row.keys() - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(f"unknown keys {sorted(unknown)}")
        row["boxes"] = tuple(tuple(float(v) for v in box) for box in row["boxes"])
        for name in ("concepts", "areas", "box_concepts", "crowd", "difficult"):
            row[name] = tuple(row[name])
        return cls(**row)
