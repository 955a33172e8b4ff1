"""What a training on embeddings can be told: that of an embedding-classifier and of a clusterer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from models.fields import Parameters, one_of


class EmbeddingParameters(Parameters):
    """What every training on another model's embeddings can be told."""

    embedder: str = ""
    """The registered embedder or classifier whose vectors are learned from: `roofs-classifier@champion`."""
    mirrored: bool = True
    """A picture's vector is the mean of its own and its mirror image's: steadier, but left and right become one."""
    splits: Literal["train", "train+val"] = "train+val"
    """What is learned from. Nothing is picked on val here, so by default it is learned from too."""


class EmbeddingClassifierParameters(EmbeddingParameters):
    """How to train an embedding-classifier."""

    type = "embedding-classifier"

    template: str = one_of("embedding-classifier")
    """How concepts are told by vectors."""
    concepts_mutually_exclusive: bool = True
    """True: one concept a picture (softmax). False: any number of them (sigmoid, one yes-or-no each)."""
    grid: int = Field(0, ge=0, le=7)
    """Means of grid × grid places of a picture, not one of all: what is where counts. 0: up to 3, as vectors allow."""
    l2: float = Field(0.0, ge=0, le=10_000)
    """Of `linear`: the weight of the penalty on large weights. 0: picked by cross-validation."""
    neighbours: int = Field(10, ge=1, le=1000)
    """Of `knn`: so many vote, the more alike the more."""


class ClustererParameters(EmbeddingParameters):
    """How to find clusters."""

    type = "clusterer"

    template: str = one_of("clusterer")
    """How clusters are found."""
    clusters: int = Field(0, ge=0, le=1000)
    """How many. 0: found, the number up to `most_clusters` with the best silhouette."""
    most_clusters: int = Field(20, ge=2, le=200)
    """Where the number is found: the highest that is tried."""

    @field_validator("clusters")
    @classmethod
    def _two_or_more(cls, given: int) -> int:
        if given == 1:
            raise ValueError("clusters: one cluster tells nothing apart: 2 or more, or 0 to find how many, got 1")
        return given
