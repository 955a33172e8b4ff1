"""What stands on a backbone or on a whole embedder: vectors of length 1, concepts of vectors, clusters of vectors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .classifiers import Classifier

TEMPERATURE = 0.07  # of a neighbour's vote, by its cosine similarity (Wu 2018)
RARE = 0.01  # the share of votes that no vote stands for: its logarithm has to be a number


class Embedder(nn.Module):
    """(N, 3, H, W) normalised float pictures to (N, D) float32 vectors of length 1; alike pictures are near.

    classifier: whose backbone it stands on.  embedding_size: D, a linear layer's; 0: the backbone's own.
    """

    trunk = "backbone"

    def __init__(self, classifier: Classifier, embedding_size: int) -> None:
        super().__init__()
        self.backbone, size = classifier.backbone, classifier.head.in_features
        self.head = nn.Linear(size, embedding_size) if embedding_size else nn.Identity()
        self.size = embedding_size or size

    def embed(self, images: Tensor) -> Tensor:
        """(N, D) float32, each of length 1."""
        return functional.normalize(self.head(self.backbone(images)).float())

    def forward(self, images: Tensor) -> Tensor:
        return self.embed(images)


def embedded(network: nn.Module, images: Tensor, mirrored: bool) -> Tensor:
    """(N, D) float32: a network's vectors of (N, 3, H, W) pictures, or the means of theirs and their mirror images'."""
    vectors = network.embed(images).float()  # type: ignore[operator]
    return (vectors + network.embed(images.flip(-1)).float()) / 2 if mirrored else vectors  # type: ignore[operator]


class Headed(nn.Module):
    """A whole embedder (or classifier) inside, and after it a head that takes its vectors (N, D) float32.

    mirrored: whether a vector is the mean of a picture's own and its mirror image's.
    """

    def __init__(self, embedder: nn.Module, head: nn.Module, mirrored: bool) -> None:
        super().__init__()
        self.embedder, self.head, self.mirrored = embedder, head, mirrored

    def embed(self, images: Tensor) -> Tensor:
        """(N, D) float32, as the head sees them."""
        return embedded(self.embedder, images, self.mirrored)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.embed(images))


class Neighbours(nn.Module):
    """(N, D) vectors to (N, C) logits: the k most alike of `count` stored vectors vote for their concepts.

    A neighbour's vote weighs exp(similarity / 0.07), similarity its cosine; the votes of all together are 1.
    scale, shift: of each concept's logit, which calibrate it.
    exclusive: the logit of a share of votes p is log p, else log p / (1 - p).
    """

    def __init__(self, size: int, concepts: int, count: int, k: int, exclusive: bool) -> None:
        super().__init__()
        self.k, self.exclusive = min(k, count), exclusive
        self.register_buffer("stored", torch.zeros(count, size))
        self.register_buffer("labels", torch.zeros(count, concepts))
        self.register_buffer("scale", torch.ones(concepts))
        self.register_buffer("shift", torch.zeros(concepts))

    def forward(self, vectors: Tensor) -> Tensor:
        similar = functional.normalize(vectors.float()) @ self.stored.T  # type: ignore[operator]
        return self.logits(similar) * self.scale + self.shift  # type: ignore[operator]

    def logits(self, similar: Tensor) -> Tensor:
        """(N, C), not calibrated, of the similarities (N, count) to the stored vectors."""
        best, which = similar.topk(self.k, dim=1)
        weights = (best / TEMPERATURE).softmax(1)
        votes = (weights[..., None] * self.labels[which]).sum(1)  # type: ignore[index]
        share = (votes + RARE) / (1 + 2 * RARE)
        return share.log() if self.exclusive else share.logit()


class Centres(nn.Module):
    """(N, D) vectors to (N, K) float32 distances, 0 to 2, of them at length 1 from K centres."""

    def __init__(self, size: int, count: int) -> None:
        super().__init__()
        self.register_buffer("centres", torch.zeros(count, size))

    def forward(self, vectors: Tensor) -> Tensor:
        # Not by a matrix product: of near vectors it would leave noise alone.
        mode = "donot_use_mm_for_euclid_dist"
        return torch.cdist(functional.normalize(vectors.float()), self.centres, compute_mode=mode)  # type: ignore[arg-type]


def linear(embedder: nn.Module, concepts: int, size: int, mirrored: bool = False) -> Headed:
    """Concepts of the embedder's vectors by one linear layer."""
    return Headed(embedder, nn.Linear(size, concepts), mirrored)


def knn(embedder: nn.Module, concepts: int, size: int, mirrored: bool = False, **options: Any) -> Headed:
    """Concepts of the embedder's vectors by those of the most alike stored ones."""
    return Headed(embedder, Neighbours(size, concepts, **options), mirrored)


def kmeans(embedder: nn.Module, concepts: int, size: int, mirrored: bool = False) -> Headed:
    """Clusters of the embedder's vectors: as many as the card has concepts."""
    return Headed(embedder, Centres(size, concepts), mirrored)
