"""The light detector in a bare PyTorch loop: the same network, losses and recipe, and nothing of the engine around it.

    python benchmarks/bare.py data/bccd --epochs 12 --seed 0 [--splits train+val]

No Lightning, no loader, no validation, no checkpoints: what Sightline's own training is held against
(`benchmarks/accuracy.py`). Measured on the test split with pycocotools. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision import tv_tensors

from models.augment import augmentation
from models.detection_loss import detection_losses
from models.parameters import DetectorParameters
from models.runtime.images import decode
from models.runtime.networks import build, normalisation
from models.runtime.transform import fit, normalise, stack
from tasks.data.dataset import Dataset, open_dataset

MEAN, DEVIATION = normalisation("fcos_light")
Row = tuple[Tensor, dict[str, Tensor]]


def main() -> None:
    """Train, measure, print."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("dataset", type=Path, help="folder of an ingested dataset")
    asked.add_argument("--epochs", type=int, help="default: the template's")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--splits", default="train", choices=["train", "train+val"])
    given = asked.parse_args()
    recipe = DetectorParameters(template="fcos_light", seed=given.seed)
    if given.epochs:
        recipe = recipe.model_copy(update={"epochs": given.epochs})
    dataset = open_dataset(given.dataset.resolve())
    rows = [row for split in given.splits.split("+") for row in pictures(dataset, split, recipe.image_size)]
    began = time.process_time()
    network = train(rows, len(dataset.concepts), recipe)
    spent = time.process_time() - began
    numbers = measure(network, dataset, recipe)
    sys.stdout.write(
        json.dumps({"seed": given.seed, "epochs": recipe.epochs, "training_cpu_seconds": round(spent, 1)} | numbers)
        + "\n"
    )


def pictures(dataset: Dataset, split: str, size: int) -> list[Row]:
    """Every picture of a split at the network's size, decoded once, with its boxes in the same pixels."""
    labels = {name: i for i, name in enumerate(dataset.concepts)}
    rows = []
    for entry in dataset.split(split):
        picture = fit(decode(dataset.path(entry)), "visual-detector", size)
        scale = torch.tensor([picture.shape[2] / entry.width, picture.shape[1] / entry.height] * 2)
        boxes = torch.tensor(entry.boxes, dtype=torch.float32).reshape(-1, 4) * scale
        named = torch.tensor([labels[name] for name in entry.box_concepts], dtype=torch.int64)
        rows.append((picture, {"boxes": boxes, "labels": named}))
    return rows


def train(rows: list[Row], concepts: int, recipe: DetectorParameters) -> nn.Module:
    """The moving average of the weights after all epochs."""
    torch.manual_seed(recipe.seed)
    network = build("fcos_light", concepts, image_size=recipe.image_size).to(memory_format=torch.channels_last)
    averaged = copy.deepcopy(network)
    decayed = [weight for weight in network.parameters() if weight.ndim > 1]
    plain = [weight for weight in network.parameters() if weight.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, recipe.learning_rate, fused=True)
    vary = augmentation(recipe.augmentation, "detection")
    batches = len(rows) // recipe.batch_size
    steps = batches * recipe.epochs
    for step in range(steps):
        if step % batches == 0:
            order = torch.randperm(len(rows)).tolist()
        at = step % batches * recipe.batch_size
        images, targets = batch([rows[i] for i in order[at : at + recipe.batch_size]], vary)
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * factor(step, steps, recipe)
        loss = torch.stack(list(detection_losses(network, images, targets).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_gradients)
        optimizer.step()
        average(averaged, network, min(recipe.ema_decay, (1 + step) / (10 + step)))
    return averaged.eval()


def batch(rows: list[Row], vary: nn.Module) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Normalised pictures, varied, and their targets."""
    images, targets = [], []
    for picture, target in rows:
        boxes = tv_tensors.BoundingBoxes(target["boxes"], format="XYXY", canvas_size=picture.shape[1:])
        image, seen = vary(picture, {"boxes": boxes, "labels": target["labels"]})
        images.append(image)
        targets.append({name: value.as_subclass(Tensor) for name, value in seen.items()})
    return normalise(stack(images, MEAN), MEAN, DEVIATION), targets


def factor(step: int, steps: int, recipe: DetectorParameters) -> float:
    """Of the learning rate: linear warm-up, then a cosine."""
    warmup = min(recipe.warmup_steps, steps // 4)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    end = recipe.final_learning_rate
    return end + (1 - end) * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


@torch.no_grad()
def average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    """One step of the exponential moving average; counters are copied."""
    old, new = list(averaged.state_dict().values()), list(network.state_dict().values())
    real = [i for i, tensor in enumerate(old) if tensor.dtype.is_floating_point]
    torch._foreach_lerp_([old[i] for i in real], [new[i] for i in real], 1 - decay)
    for i in set(range(len(old))) - set(real):
        old[i].copy_(new[i])


@torch.no_grad()
def measure(network: Any, dataset: Dataset, recipe: DetectorParameters) -> dict[str, float]:
    """mAP@50 and mAP on the test split, by pycocotools, in the pictures' own pixels."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images, labelled, found = [], [], []
    for number, entry in enumerate(dataset.split("test")):
        images.append({"id": number, "width": entry.width, "height": entry.height})
        for box, name in zip(entry.boxes, entry.box_concepts, strict=True):
            row = coco_row(number, dataset.concepts.index(name), box)
            labelled.append(row | {"id": len(labelled) + 1, "iscrowd": 0, "area": row["bbox"][2] * row["bbox"][3]})
        picture = fit(decode(dataset.path(entry)), "visual-detector", recipe.image_size)
        seen = normalise(stack([picture], MEAN), MEAN, DEVIATION)
        boxes, scores, labels = network.detect(seen, 0.01, recipe.nms_iou, recipe.max_detections)[0]
        scale = np.array([entry.width / picture.shape[2], entry.height / picture.shape[1]] * 2)
        placed = (boxes.numpy() * scale).clip(0, [entry.width, entry.height] * 2)
        for box, score, label in zip(placed.tolist(), scores.tolist(), labels.tolist(), strict=True):
            found.append(coco_row(number, label, box) | {"score": score})
    truth = COCO()
    truth.dataset = {
        "images": images,
        "annotations": labelled,
        "categories": [{"id": i, "name": name} for i, name in enumerate(dataset.concepts)],
    }
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools says what it does
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {"map_50": round(float(evaluation.stats[1]), 4), "map": round(float(evaluation.stats[0]), 4)}


def coco_row(image: int, label: int, box: Any) -> dict[str, Any]:
    """A box (xyxy) as COCO writes it."""
    left, top, right, bottom = box
    return {"image_id": image, "category_id": label, "bbox": [left, top, right - left, bottom - top]}


if __name__ == "__main__":
    main()
