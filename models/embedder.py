"""The visual embedder as Lightning trains it: pictures of one concept are drawn together by an angular margin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import Metric

from models.learner import Learner
from models.parameters import EmbedderParameters


class Embedder(Learner):
    """Pictures to vectors of length 1. Targets are (N, C) float in {0, 1}, one concept a picture.

    The margin's own weights learn with the network's and stay behind: what is registered ends in vectors.
    """

    monitored = "val_recall_1"
    given: EmbedderParameters

    def __init__(self, given: EmbedderParameters, concepts: Sequence[str], **start: Any) -> None:
        super().__init__(given, concepts, **start)
        self.network.margin = AngularMargin(
            int(self.network.size),  # type: ignore[arg-type]
            len(concepts),
            given.angular_scale,
            given.angular_margin,
        )
        self.metric = RecallOfNearest()

    @property
    def measures(self) -> tuple[str, ...]:
        return (self.monitored, "val_loss")

    def weigh(self, weights: Tensor) -> None:
        self.network.margin.weights = weights.to(self.device)  # type: ignore[union-attr]

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        images, targets = batch
        return self.network.margin(self.network(self.seen(images)), targets)  # type: ignore[operator]

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        images, targets = batch
        vectors = self.network(self.seen(images)).float()
        loss = self.network.margin(vectors, targets)  # type: ignore[operator]
        self.log("val_loss", loss, batch_size=len(images), logger=False)
        self.metric.update(vectors, targets.argmax(1))
        self.log(self.monitored, self.metric, prog_bar=True, batch_size=len(images), logger=False)


class AngularMargin(nn.Module):
    """The loss of ArcFace (Deng 2019): cross-entropy of scaled cosines, the angle to the own concept m wider.

    vectors: (N, size) of length 1.  targets: (N, concepts) float in {0, 1}.  Answers one number.
    weights: (concepts,) of each in the loss, or None.
    Beyond an angle of pi - m, where the cosine would rise again, cos - m sin m goes on falling.
    """

    weights: Tensor | None

    def __init__(self, size: int, concepts: int, scale: float, margin: float) -> None:
        super().__init__()
        self.scale, self.margin = scale, margin
        self.centres = nn.Parameter(functional.normalize(torch.randn(concepts, size)))
        self.register_buffer("weights", None, persistent=False)

    def forward(self, vectors: Tensor, targets: Tensor) -> Tensor:
        with torch.autocast(vectors.device.type, enabled=False):  # in bfloat16 a cosine near 1 has steps of .004
            cosine = vectors.float() @ functional.normalize(self.centres.float()).T
        sine = (1 - cosine.square()).clamp(min=1e-6).sqrt()  # its slope has no end at 0
        wider = cosine * math.cos(self.margin) - sine * math.sin(self.margin)
        wider = torch.where(cosine > -math.cos(self.margin), wider, cosine - self.margin * math.sin(self.margin))
        logits = self.scale * torch.where(targets > 0, wider, cosine)
        return functional.cross_entropy(logits, targets.argmax(1), self.weights)


class RecallOfNearest(Metric):
    """Share of vectors (N, D) whose nearest other one has their label (N,) int64: recall@1, each left out once.

    Those whose label no other one has cannot be right and do not count; 0 where nothing counts.
    """

    higher_is_better = True
    full_state_update = False

    def __init__(self) -> None:
        super().__init__(sync_on_compute=False)  # every process of a training measures on all of the split
        self.add_state("vectors", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")

    def update(self, vectors: Tensor, labels: Tensor) -> None:
        """Remember a batch."""
        self.vectors.append(vectors)  # type: ignore[union-attr, operator]
        self.labels.append(labels)  # type: ignore[union-attr, operator]

    def compute(self) -> Tensor:
        """The share, 0 to 1, of all batches together; a thousand rows at a time."""
        vectors, labels = torch.cat(self.vectors), torch.cat(self.labels)  # type: ignore[arg-type]
        right = torch.zeros(len(labels), dtype=torch.bool, device=labels.device)
        for start in range(0, len(labels), 1000):
            rows = torch.arange(start, min(start + 1000, len(labels)), device=labels.device)
            similar = vectors[rows] @ vectors.T
            similar[rows - start, rows] = -2
            right[rows] = labels[similar.argmax(1)] == labels[rows]
        counted = torch.bincount(labels)[labels] > 1
        return right[counted].float().mean() if counted.any() else torch.zeros((), device=labels.device)
