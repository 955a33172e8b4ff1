"""A dataset as torch batches: decoded once, varied by augmentation, in an order that a seed decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import psutil
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision import tv_tensors

from models.augment import augmentation
from models.parameters import Parameters
from models.runtime.images import decode
from models.runtime.networks import normalisation
from models.runtime.transform import fit, stack
from tasks.data import dataset as data
from tasks.data.annotations import Annotation

CACHE_SHARE = 0.25  # of the free memory may hold decoded pictures, those of all worker processes together


class Pictures(Dataset):
    """One split as (picture (3, H, W) uint8, target), by (epoch, index).

    What augmentation draws depends on (seed, epoch, index) alone: neither on the order nor on the process,
    so the same seed gives the same pictures with any number of workers and after any interruption.
    """

    def __init__(
        self, dataset: data.Dataset, split: str, type: str, parameters: Parameters, vary: bool, workers: int = 0
    ) -> None:
        self.dataset, self.annotations = dataset, dataset.split(split)
        self.type, self.size, self.seed = type, parameters.image_size, parameters.seed
        self.labels = {name: i for i, name in enumerate(dataset.concepts)}
        task = "detection" if type == "visual-detector" else "classification"
        self.vary = augmentation(parameters.augmentation, task) if vary else None
        self.cache: dict[int, Tensor] = {}
        needed = len(self.annotations) * 3 * self.size**2 * max(1, workers)
        self.cached = needed < CACHE_SHARE * psutil.virtual_memory().available

    def __len__(self) -> int:
        return len(self.annotations)

    def __getitem__(self, at: tuple[int, int]) -> tuple[Tensor, Any]:
        epoch, index = at
        annotation = self.annotations[index]
        picture = self._picture(index)
        if self.type != "visual-detector":
            target: Any = self._concepts(annotation)
        else:
            target = self._regions(annotation, picture)
        if self.vary is None:
            return picture, target
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed, which takes a stack trace for each kind of device that is not there.
            torch.default_generator.manual_seed(((self.seed * 1_000_003 + epoch) * 1_000_003 + index) % 2**63)
            return self.vary(picture, target)

    def _picture(self, index: int) -> Tensor:
        if index not in self.cache:
            picture = fit(decode(self.dataset.path(self.annotations[index])), self.type, self.size)
            if not self.cached:
                return picture
            self.cache[index] = picture
        return self.cache[index]

    def _concepts(self, annotation: Annotation) -> Tensor:
        target = torch.zeros(len(self.labels))
        target[[self.labels[name] for name in annotation.concepts]] = 1
        return target

    def _regions(self, annotation: Annotation, picture: Tensor) -> dict[str, Tensor]:
        """Boxes to learn from, in the picture's pixels; a crowd is no single thing and teaches no box."""
        kept = [i for i, crowd in enumerate(annotation.crowd) if not crowd]
        height, width = picture.shape[1:]
        boxes = torch.tensor([annotation.boxes[i] for i in kept], dtype=torch.float32).reshape(-1, 4)
        boxes *= torch.tensor([width / annotation.width, height / annotation.height] * 2)
        labels = torch.tensor([self.labels[annotation.box_concepts[i]] for i in kept], dtype=torch.int64)
        framed = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(height, width))
        return {"boxes": framed, "labels": labels}


class Order(Sampler[tuple[int, int]]):
    """(epoch, index) pairs: each index once an epoch, in an order that (seed, epoch) alone decides."""

    def __init__(self, count: int, seed: int, shuffle: bool) -> None:
        self.count, self.seed, self.shuffle, self.epoch = count, seed, shuffle, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls it at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[int, int]]:
        if not self.shuffle:
            return iter([(self.epoch, index) for index in range(self.count)])
        drawn = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        return iter([(self.epoch, int(i)) for i in torch.randperm(self.count, generator=drawn)])


def loader(dataset: data.Dataset, split: str, type: str, parameters: Parameters, vary: bool) -> DataLoader:
    """Batches of a split: shuffled and augmented where `vary`, else in order and as they are.

    On a CPU the batches are made in the training process: its cores are busy with the network anyway.
    """
    workers = min(8, (psutil.cpu_count() or 1) - 1) if torch.cuda.is_available() else 0
    pictures = Pictures(dataset, split, type, parameters, vary, workers)
    return DataLoader(
        pictures,
        batch_size=min(parameters.batch_size, len(pictures)),
        sampler=Order(len(pictures), parameters.seed, shuffle=vary),
        collate_fn=partial(collate, mean=normalisation(parameters.template)[0]),
        drop_last=vary,
        num_workers=workers,
        persistent_workers=workers > 0,  # they keep what they have decoded
    )


def collate(rows: Sequence[tuple[Tensor, Any]], mean: Sequence[float]) -> tuple[Tensor, Any]:
    """(images (N, 3, H, W) uint8, padded to one size; targets stacked (classifier) or listed (detector))."""
    images, targets = zip(*rows, strict=True)
    batch = stack([image.as_subclass(Tensor) for image in images], mean)
    if isinstance(targets[0], Tensor):
        return batch, torch.stack(targets)
    plain = [{name: value.as_subclass(Tensor) for name, value in target.items()} for target in targets]
    return batch, plain
