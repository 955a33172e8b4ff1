"""The one way from pictures to answers: decode → transform → network → postprocess."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import shorten

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from . import networks
from .card import Card
from .classifiers import at_places, finest_grid
from .faults import Fault
from .heads import embedded
from .images import decode, to_rgb
from .kinds import KINDS, Kind
from .transform import canvas, fit, normalise, stack

Picture = Path | str | bytes | np.ndarray | Image.Image


class Predictor:
    """A network with its card, ready to answer. Evaluation, batch prediction and the registered model use it."""

    def __init__(self, network: nn.Module, card: Card, device: str = "") -> None:
        self.card = card
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.network = network.to(self.device).to(memory_format=torch.channels_last).eval()
        self._at_places = {1: self.network}

    @classmethod
    def load(cls, folder: Path, device: str = "") -> Predictor:
        """From `card.json` and `weights.safetensors` in a folder. Raises Fault when they do not fit each other."""
        card = Card.read(folder / "card.json")
        network = networks.build(card.template, len(card.concepts), image_size=card.image_size, options=card.network)
        try:
            network.load_state_dict(load_file(folder / "weights.safetensors"))
        except (OSError, RuntimeError, SafetensorError) as error:
            reason = shorten(str(error), 300)  # torch names every tensor that does not fit
            raise Fault(f"{folder / 'weights.safetensors'}: not the weights of this card ({reason})") from None
        return cls(network, card, device)

    def save(self, folder: Path) -> None:
        """Write `card.json` and `weights.safetensors` into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: tensor.contiguous().cpu() for name, tensor in self.network.state_dict().items()}
        save_file(weights, folder / "weights.safetensors")
        (folder / "card.json").write_text(self.card.to_json(), encoding="utf-8")

    @property
    def kind(self) -> Kind:
        """What a model of this type answers."""
        return KINDS[self.card.type]

    def predict(self, pictures: Sequence[Picture], batch_size: int = 16) -> list:
        """One answer a picture, in order: `Concepts`, `Regions` (surest first), `Embeddings` or `Clusters` (`kind`).

        pictures: paths, encoded bytes, decoded (H, W, 3) uint8 RGB arrays or Pillow images.
        Raises Fault, naming the picture by its path or its place (from 0), when one cannot be decoded.
        """
        answers: list = []
        for start in range(0, len(pictures), batch_size):
            batch = enumerate(pictures[start : start + batch_size], start)
            answers += self.answer([read(picture, f"image {i}") for i, picture in batch])
        return answers

    @torch.inference_mode()
    def answer(self, images: Sequence[Image.Image]) -> list:
        """One answer an image. Only images of one canvas share a batch: no answer depends on its company's size."""
        answers: list = [None] * len(images)
        for group, batch, sizes in self._batches(images):
            outputs = self.kind.outputs(self.network, batch, self.card)
            for i, output, size in zip(group, outputs, sizes, strict=True):
                answers[i] = self.kind.value(output, self.card, images[i].size, size)
        return answers

    @property
    def finest_grid(self) -> int:
        """The largest `grid` that tells `embed` more than a smaller one; 1: it knows whole pictures alone."""
        return finest_grid(self.network, self.card.image_size)

    @torch.inference_mode()
    def embed(self, images: Sequence[Image.Image], mirrored: bool = False, grid: int = 1) -> np.ndarray:
        """(N, D × grid²) float32: the vectors in front of the network's last layer, an embedder's own answers.

        mirrored: each the mean of a picture's own and its mirror image's.
        grid: more than 1: of each of the D numbers grid × grid means, row by row, one for each place in the picture.
        Raises Fault for a network that makes no vector of a whole picture (a detector's), ValueError for a grid
        where `finest_grid` is 1.
        """
        if not hasattr(self.network, "embed"):
            raise Fault(f"a {self.card.type} makes no embeddings. Name a visual-embedder or a visual-classifier.")
        if grid not in self._at_places:
            self._at_places[grid] = at_places(self.network, grid)
        network = self._at_places[grid]
        rows: list = [None] * len(images)
        for group, batch, _ in self._batches(images):
            for i, vector in zip(group, embedded(network, batch, mirrored).cpu().numpy(), strict=True):
                rows[i] = vector
        return np.stack(rows)

    def _batches(self, images: Sequence[Image.Image]) -> Iterator[tuple[list[int], Tensor, list[tuple[int, int]]]]:
        """(indexes, normalised batch, (width, height) of each picture in it) for the images of each canvas."""
        tensors = [fit(image, self.card.type, self.card.image_size) for image in images]
        for group in _groups([canvas(tensor) for tensor in tensors]):
            batch = stack([tensors[i] for i in group], self.card.mean).to(self.device)
            sizes = [(tensors[i].shape[2], tensors[i].shape[1]) for i in group]
            yield group, normalise(batch, self.card.mean, self.card.std), sizes


def read(picture: Picture, name: str = "image") -> Image.Image:
    """RGB, from whatever form the picture has. Raises Fault, naming it (`name` if it has no path), when it cannot."""
    if isinstance(picture, Image.Image):
        return to_rgb(picture)
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
            raise Fault(f"{name}: an array must be (H, W, 3) uint8, got {picture.shape} {picture.dtype}")
        return Image.fromarray(picture)
    return decode(picture, name)


def _groups(keys: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Indexes of equal keys, in order of first appearance."""
    found: dict[tuple[int, int], list[int]] = {}
    for i, key in enumerate(keys):
        found.setdefault(key, []).append(i)
    yield from found.values()
