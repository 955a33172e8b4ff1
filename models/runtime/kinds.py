"""What each model type answers, and how its network's outputs become that: the one table of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from .card import Card
from .predictions import Answer, Clusters, Concepts, Embeddings, Regions

FLOOR = 0.01  # regions less sure than this are never answered: too many to be of use
Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Kind:
    """What is different about one model type for whatever answers with it.

    answer: the value it answers with.
    outputs: of the network on a normalised batch (N, 3, H, W), one for each picture.
    value: the answer that an output is, given the picture's own (width, height) and that of the tensor.
    sure: whether only rows from the card's threshold on are answered where nobody names another.
    """

    answer: type[Answer]
    outputs: Callable[[nn.Module, Tensor, Card], Sequence[Any]]
    value: Callable[[Any, Card, Size, Size], Answer]
    sure: bool = False

    def least(self, card: Card, threshold: float | None = None) -> float:
        """The least score of an answered row: the threshold given, or the model's own."""
        if threshold is not None and threshold >= 0:
            return threshold
        return card.threshold if self.sure else 0.0


def _scores(network: nn.Module, batch: Tensor, card: Card) -> Any:
    logits = network(batch).float()
    return logits.softmax(1) if card.exclusive else logits.sigmoid()


def _concepts(output: Tensor, card: Card, own: Size, seen: Size) -> Concepts:
    return Concepts(output.cpu().numpy().clip(0, 1), card.concepts)


def _found(network: nn.Module, batch: Tensor, card: Card) -> Any:
    return network.detect(batch, FLOOR, card.nms_iou, card.max_detections)  # type: ignore[operator]


def _regions(output: Sequence[Tensor], card: Card, own: Size, seen: Size) -> Regions:
    """Boxes from the tensor's pixels back to those of the image as given."""
    boxes, scores, labels = (column.cpu().numpy() for column in output)
    scale = np.array([own[0] / seen[0], own[1] / seen[1]] * 2)
    scaled = (boxes.astype(np.float64) * scale).clip(0, np.array(own * 2, dtype=np.float64))
    solid = ((scaled[:, 2:] - scaled[:, :2]) > 0).all(axis=1)  # a box wholly in the padding is none
    return Regions(scaled, scores.astype(np.float32).clip(0, 1), labels.astype(np.int64), card.concepts)[solid]


def _forward(network: nn.Module, batch: Tensor, card: Card) -> Any:
    return network(batch).float()


def _embeddings(output: Tensor, card: Card, own: Size, seen: Size) -> Embeddings:
    return Embeddings(output.cpu().numpy())


def _clusters(output: Tensor, card: Card, own: Size, seen: Size) -> Clusters:
    return Clusters(output.cpu().numpy())


KINDS = {
    "visual-classifier": Kind(Concepts, _scores, _concepts),
    "visual-detector": Kind(Regions, _found, _regions, sure=True),
    "visual-embedder": Kind(Embeddings, _forward, _embeddings),
    "embedding-classifier": Kind(Concepts, _scores, _concepts),
    "clusterer": Kind(Clusters, _forward, _clusters),
}
