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
from .faults import Fault
from .images import decode, to_rgb
from .predictions import Concepts, Regions
from .transform import canvas, fit, normalise, stack

Picture = Path | str | bytes | np.ndarray | Image.Image
FLOOR = 0.01  # regions less sure than this are never answered: too many to be of use


class Predictor:
    """A network with its card, ready to answer. Evaluation, batch prediction and the registered model use it."""

    def __init__(self, network: nn.Module, card: Card, device: str = "") -> None:
        self.card = card
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.network = network.to(self.device).to(memory_format=torch.channels_last).eval()

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

    def predict(self, pictures: Sequence[Picture], batch_size: int = 16) -> list[Concepts] | list[Regions]:
        """One answer a picture, in order: `Concepts` of a classifier, `Regions` (surest first) of a detector.

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
        tensors = [fit(image, self.card.type, self.card.image_size) for image in images]
        answers: list = [None] * len(images)
        for group in _groups([canvas(tensor) for tensor in tensors]):
            batch = stack([tensors[i] for i in group], self.card.mean).to(self.device)
            outputs = self._run(normalise(batch, self.card.mean, self.card.std))
            for i, output in zip(group, outputs, strict=True):
                answers[i] = self._postprocess(output, images[i].size, tensors[i])
        return answers

    def _run(self, batch: Tensor) -> Sequence:
        if self.card.type == "visual-detector":
            return self.network.detect(batch, FLOOR, self.card.nms_iou, self.card.max_detections)  # type: ignore[operator]
        logits = self.network(batch).float()
        return logits.softmax(1) if self.card.exclusive else logits.sigmoid()

    def _postprocess(self, output, size: tuple[int, int], tensor: Tensor) -> Concepts | Regions:
        """To frozen columns; boxes from the tensor's pixels back to those of the image as given."""
        if isinstance(output, Tensor):
            return Concepts(output.cpu().numpy().clip(0, 1), self.card.concepts)
        boxes, scores, labels = (column.cpu().numpy() for column in output)
        width, height = size
        scale = np.array([width / tensor.shape[2], height / tensor.shape[1]] * 2)
        edge = np.array([width, height] * 2, dtype=np.float64)
        scaled = (boxes.astype(np.float64) * scale).clip(0, edge)
        solid = ((scaled[:, 2:] - scaled[:, :2]) > 0).all(axis=1)  # a box wholly in the padding is none
        return Regions(scaled, scores.astype(np.float32).clip(0, 1), labels.astype(np.int64), self.card.concepts)[solid]


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
