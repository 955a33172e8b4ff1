"""Batches of a dataset for training: decoded once, augmented anew each epoch, in an order that the seed decides."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors

from models.augment import augmentation
from models.mosaic import mosaic
from models.parameters import DetectorParameters, NetworkParameters
from models.runtime.faults import Fault
from models.runtime.images import decode
from models.runtime.networks import normalisation
from models.runtime.transform import fit, stack
from tasks.data import dataset as data
from tasks.data.annotations import Annotation, distinct
from tasks.data.cache import Decoded
from tasks.data.sampling import Order, Rounds, picture_weights

MOST_WORKERS = 16


class Pictures(Dataset):
    """Some splits, named with `+` between, as (picture (3, H, W) uint8, target), by (epoch, draw).

    A draw is an index, or one more than it by any multiple of the number of pictures (see `sampling.Order`). What
    augmentation draws depends on (seed, epoch, draw) alone: neither on the order nor on the process, so the same
    seed gives the same pictures with any number of workers and after any interruption.
    """

    def __init__(
        self, dataset: data.Dataset, splits: str, type: str, parameters: NetworkParameters, vary: bool
    ) -> None:
        self.dataset = dataset
        self.annotations = entries(dataset, splits)
        if type == "visual-embedder" and not vary:  # to find a picture's copy is no merit (tasks.metrics.retrieval)
            self.annotations = distinct(self.annotations)
        self.type, self.size, self.seed = type, parameters.image_size, parameters.seed
        self.labels = {name: i for i, name in enumerate(dataset.concepts)}
        task = "detection" if type == "visual-detector" else "classification"
        self.vary = augmentation(parameters.augmentation, task) if vary else None
        self.mosaic, self.mosaic_epochs = 0.0, 0
        if vary and isinstance(parameters, DetectorParameters):
            self.mosaic = parameters.mosaic
            self.mosaic_epochs = parameters.epochs - min(parameters.mosaic_free_epochs, parameters.epochs // 2)
        self.decoded = Decoded(len(self.annotations), self.size)

    def __len__(self) -> int:
        return len(self.annotations)

    def __getitem__(self, at: tuple[int, int]) -> tuple[Tensor, Any]:
        epoch, draw = at
        if self.vary is None:
            return self.row(draw)
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed, which takes a stack trace for each kind of device that is not there.
            torch.default_generator.manual_seed(((self.seed * 1_000_003 + epoch) * 1_000_003 + draw) % 2**63)
            return self.vary(*self._composed(epoch, draw % len(self)))

    def row(self, index: int) -> tuple[Tensor, Any]:
        """A picture as it is, and what is to be learned from it."""
        picture = self._picture(index)
        annotation = self.annotations[index]
        if self.type != "visual-detector":
            return picture, self._concepts(annotation)
        return picture, self._regions(annotation, picture)

    def _composed(self, epoch: int, index: int) -> tuple[Tensor, Any]:
        """The picture, or at times a mosaic of it and three others."""
        if not self.mosaic or epoch >= self.mosaic_epochs or float(torch.rand(())) >= self.mosaic:
            return self.row(index)
        others = torch.randint(len(self), (3,)).tolist()
        return mosaic([self.row(each) for each in (index, *others)], self.size)

    def _picture(self, index: int) -> Tensor:
        kept = self.decoded.get(index)
        if kept is not None:
            return kept
        picture = fit(decode(self.dataset.path(self.annotations[index])), self.type, self.size)
        self.decoded.put(index, picture)
        return picture

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


class Batches:
    """Batches to train on, epoch by epoch. Its state is how many of the current epoch it has handed out.

    An own loader around torch's, for two things that Lightning 2.6 does with torch's own: after an interruption it
    asks for the iterator before it says which epoch it is, so that worker processes begin on the order of epoch 0;
    and it goes on in the middle of an epoch with that epoch's first batches. Here nothing is asked of torch before
    the first batch is wanted, and a position that was loaded is where it goes on.
    """

    def __init__(self, rounds: Rounds, loader: DataLoader) -> None:
        self.sampler = rounds  # by this name Lightning looks for it
        self._loader, self._start, self._handed = loader, 0, 0

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Any]:
        self.sampler.start, self._start = self._start, 0
        self._handed = self.sampler.start
        for batch in self._loader:
            self._handed += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Part of a checkpoint."""
        return {"handed": self._handed % len(self)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """The next epoch begins behind the batches that were handed out."""
        self._start = state["handed"]


def loader(
    dataset: data.Dataset, splits: str, type: str, parameters: NetworkParameters, vary: bool
) -> Batches | DataLoader:
    """Batches of a split (or of `train+val`): shuffled and augmented where `vary`, else in order and as they are.

    On a CPU the batches are made in the training process: its cores are busy with the network anyway. Beside a GPU
    they are made by as many worker processes as there are cores, over all trainings of this machine.
    Raises Fault when the batch cannot be shared out equally among the processes of a training.
    """
    pictures = Pictures(dataset, splits, type, parameters, vary)
    making = _making(parameters)
    if not vary:
        size = max(1, min(parameters.batch_size, len(pictures)))
        given = [(0, index) for index in range(len(pictures))]
        return DataLoader(pictures, batch_size=size, sampler=given, **making)
    weights = picture_weights(pictures.annotations) if parameters.sampling == "balanced" else None
    order = Order(len(pictures), max(len(pictures), parameters.min_samples_per_epoch), parameters.seed, weights)
    rank, world = (int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("WORLD_SIZE", 1)))
    size = min(parameters.batch_size, order.count // world * world)
    if not size or size % world:
        raise Fault(
            f"batch_size: {size} pictures a step cannot be shared out equally among {world} processes. "
            f"Set a multiple of {world}."
        )
    rounds = Rounds(order, size, rank, world)
    return Batches(rounds, DataLoader(pictures, batch_sampler=rounds, **making))


def entries(dataset: data.Dataset, splits: str) -> list[Annotation]:
    """The annotations of some splits, each once, named with `+` between: `train`, `train+val`."""
    return [entry for split in dict.fromkeys(splits.split("+")) for entry in dataset.split(split)]


def _making(parameters: NetworkParameters) -> dict[str, Any]:
    """How batches are made, in torch's words."""
    known: dict[str, Any] = {"collate_fn": partial(collate, mean=normalisation(parameters.architecture)[0])}
    if not beside_gpu():
        return known
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    workers = max(1, min(MOST_WORKERS, (cores() - 1) // processes))
    # They are forked, so that they share what is decoded, and stay.
    known |= {"num_workers": workers, "multiprocessing_context": "fork", "persistent_workers": True}
    return known | {"prefetch_factor": 4, "pin_memory": torch.cuda.is_available()}


def beside_gpu() -> bool:
    """Whether worker processes are worth it: the network is busy elsewhere, and they can share what is decoded."""
    return torch.cuda.is_available() and "fork" in multiprocessing.get_all_start_methods()


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def collate(rows: Sequence[tuple[Tensor, Any]], mean: Sequence[float]) -> tuple[Tensor, Any]:
    """(images (N, 3, H, W) uint8, padded to one size; targets stacked (classifier) or listed (detector))."""
    images, targets = zip(*rows, strict=True)
    batch = stack([image.as_subclass(Tensor) for image in images], mean)
    if isinstance(targets[0], Tensor):
        return batch, torch.stack(targets)
    plain = [{name: value.as_subclass(Tensor) for name, value in target.items()} for target in targets]
    return batch, plain
