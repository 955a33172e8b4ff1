"""What lies beside a model's weights and says everything that is needed to answer with them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .faults import Fault


@dataclass(frozen=True, slots=True)
class Card:
    """A model in words and numbers.

    type, template: of the catalog.  concepts: names, in the order of the network's outputs; a clusterer's clusters;
    those that an embedder was trained on, none if on none.
    image_size: pixels; the square's side (classifier) or the longer side (detector) the network sees.
    mean, std: of each channel in [0, 1], by which the network's input is normalised.
    exclusive: whether an image is of exactly one concept (softmax, else sigmoid).
    threshold: score from which a region or concept counts as found, in [0, 1]; picked on the val split.
    nms_iou, max_detections: a detector's post-processing.
    dataset, dataset_version: what it was trained on.  parameters: how it was trained.
    network: what else its builder needs (`networks.build`), such as fitted anchors, a backbone's name, or the whole
    embedder below a head.
    """

    type: str
    template: str
    concepts: tuple[str, ...]
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    exclusive: bool = True
    threshold: float = 0.5
    nms_iou: float = 0.6
    max_detections: int = 100
    dataset: str = ""
    dataset_version: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)

    def with_(self, **changed: Any) -> Card:
        """This card with some fields changed."""
        return replace(self, **changed)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> Card:
        """The card in a file. Raises Fault when it is missing or not a card."""
        try:
            row = json.loads(path.read_text(encoding="utf-8"))
            for name in ("concepts", "mean", "std"):
                row[name] = tuple(row[name])
            return cls(**row)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Fault(f"{path}: not a model card ({error})") from None
