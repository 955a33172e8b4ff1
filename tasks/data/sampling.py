"""Which pictures an epoch sees, in which order, and what each concept weighs: the data and the seed decide."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import Sampler

from tasks.data.annotations import Annotation

MOST_WEIGHT = 10.0  # of a rare concept's loss, against the commonest's


class Order:
    """The draws of each epoch, decided by (seed, epoch) alone.

    A draw is a picture's index, plus `pictures` for each time that it came before in the same epoch. So no two
    draws of an epoch are the same number, and what is varied by (seed, epoch, draw) is varied anew each time.
    pictures: in the split.  count: draws an epoch; more than there are pictures repeats them, each as often as
    the next.  weights: how often each is drawn, in proportion, instead of equally often.
    """

    def __init__(self, pictures: int, count: int, seed: int, weights: Sequence[float] | None = None) -> None:
        self.pictures, self.count, self.seed = pictures, count, seed
        self.weights = None if weights is None else torch.tensor(weights, dtype=torch.float64)

    def draws(self, epoch: int) -> list[int]:
        """`count` draws, shuffled."""
        drawn = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        if self.weights is not None:
            return self._weighed(self.weights, drawn).tolist()
        times = math.ceil(self.count / self.pictures)
        rounds = [torch.randperm(self.pictures, generator=drawn) + self.pictures * i for i in range(times)]
        return torch.cat(rounds)[: self.count].tolist()

    def _weighed(self, weights: Tensor, drawn: torch.Generator) -> Tensor:
        """Systematic sampling: each picture comes as often as it should, give or take less than one time."""
        order = torch.randperm(self.pictures, generator=drawn)
        edges = torch.cumsum(weights[order], 0)
        edges *= self.count / edges[-1].clone()
        edges[-1] = self.count
        upto = torch.ceil(edges - torch.rand((), generator=drawn, dtype=torch.float64)).to(torch.int64)
        times = torch.diff(upto, prepend=torch.zeros(1, dtype=torch.int64))
        again = torch.cat([torch.arange(int(n)) for n in times])
        draws = order.repeat_interleave(times) + self.pictures * again
        return draws[torch.randperm(len(draws), generator=drawn)]


class Rounds(Sampler[list[tuple[int, int]]]):
    """The batches of an epoch as lists of (epoch, draw), all of one size; what is left over at its end is not seen.

    size: of a batch on all `world` processes together, whose `rank`-th gets every `world`-th of its draws: the
    processes see together what one alone would see.  epoch, start: the epoch, and its first batch to hand out.
    """

    def __init__(self, order: Order, size: int, rank: int = 0, world: int = 1) -> None:
        self.order, self.size, self.rank, self.world = order, size, rank, world
        self.epoch = self.start = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls it at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.order.count // self.size

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        draws = self.order.draws(self.epoch)
        for at in range(self.start, len(self)):
            batch = draws[at * self.size : (at + 1) * self.size]
            yield [(self.epoch, draw) for draw in batch[self.rank :: self.world]]


def picture_weights(annotations: Sequence[Annotation]) -> list[float]:
    """How often each picture is to be drawn, in proportion: by the rarest concept it shows, one over its pictures.

    So concepts that exclude each other are seen equally often. (By the rarest: as repeat factors in LVIS, Gupta
    2019.) A picture that shows none counts as one of the commonest.
    """
    shown = [{*entry.concepts, *entry.box_concepts} for entry in annotations]
    counts = Counter(name for names in shown for name in names)
    commonest = max(counts.values(), default=1)
    return [1 / min((counts[name] for name in names), default=commonest) for names in shown]


def concept_weights(annotations: Sequence[Annotation], concepts: Sequence[str]) -> list[float]:
    """What each concept's loss weighs: the inverse of its share, at most MOST_WEIGHT times the commonest's.

    By labels of pictures, or boxes. Scaled so that the mean over all labels is 1: the loss as a whole keeps its size.
    """
    counts = Counter(name for entry in annotations for name in (*entry.concepts, *entry.box_concepts))
    commonest = max(counts.values(), default=1)
    weights = [min(MOST_WEIGHT, commonest / max(1, counts[name])) for name in concepts]
    labels = sum(counts[name] for name in concepts)
    mean = sum(weight * counts[name] for weight, name in zip(weights, concepts, strict=True)) / max(1, labels)
    return [weight / (mean or 1.0) for weight in weights]
