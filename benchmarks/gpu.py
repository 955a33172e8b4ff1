"""On a machine with a GPU and without Prefect, MLflow or DVC: how well and how fast trainings run there.

    python benchmarks/gpu.py detector data/bccd --set image_size=640 --set epochs=120     # mAP on the test split
    python benchmarks/gpu.py speed data/clothing                                          # ResNet-50, bfloat16, img/s

Both take the folder of an ingested dataset (`data/<name>` of a workspace) and need torch, torchvision,
pytorch-lightning, torchmetrics, pycocotools, pydantic, scikit-learn, psutil and Pillow. Each prints one JSON object.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file
from torch import nn

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from models.parameters import NetworkParameters, parameters  # noqa: E402
from models.runtime.card import Card  # noqa: E402
from models.runtime.networks import build, normalisation  # noqa: E402
from models.runtime.predictor import Predictor  # noqa: E402
from tasks.data.dataset import open_dataset  # noqa: E402
from tasks.fitting import learn  # noqa: E402
from tasks.metrics.detection import detection  # noqa: E402

SIZE, BATCH, SAMPLES = 224, 128, 25_600  # of the speed test: pixels, pictures a step and an epoch


def main() -> None:
    """Run what was asked for, and print its numbers."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("what", choices=["detector", "speed"])
    asked.add_argument("dataset", type=Path, help="folder of an ingested dataset")
    asked.add_argument("--set", action="append", default=[], help="key=value, a parameter of the training")
    given = asked.parse_args()
    settings = {key: yaml.safe_load(value) for key, _, value in (pair.partition("=") for pair in given.set)}
    with tempfile.TemporaryDirectory() as folder:
        told = {"detector": detector, "speed": speed}[given.what](given.dataset, settings, Path(folder))
    sys.stdout.write(
        json.dumps(told | {"device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"}) + "\n"
    )


def detector(source: Path, settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The light detector from nothing, measured on the test split."""
    dataset = open_dataset(source.resolve())
    given = parameters({"template": "fcos_light"} | settings)
    assert isinstance(given, NetworkParameters)
    began = time.monotonic()
    learn(dataset, given, folder, say=lambda line: sys.stderr.write(f"{line}\n"))
    seconds = time.monotonic() - began
    mean, std = normalisation(given.template)
    card = Card(given.type, given.template, dataset.concepts, given.image_size, mean, std)
    network = build(given.template, len(dataset.concepts), image_size=given.image_size)
    network.load_state_dict(load_file(folder / "best.safetensors"))
    test = dataset.split("test")
    found = Predictor(network, card).predict([dataset.path(entry) for entry in test])
    report = detection(test, found, dataset.concepts, 0.5)  # type: ignore[arg-type]
    kept = ("map_50", "map_50_low", "map_50_high", "map")
    return {name: round(report.summary[name], 4) for name in kept} | {"seconds": round(seconds, 1)} | settings


def speed(source: Path, settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """img/s of a ResNet-50 through Sightline, its loader and validation included, and in a bare loop on one batch."""
    dataset = open_dataset(source.resolve())
    wanted = {"template": "resnet50", "image_size": SIZE, "batch_size": BATCH, "epochs": 4, "precision": "bfloat16"}
    given = parameters(wanted | {"min_samples_per_epoch": SAMPLES} | settings)
    ends: list[float] = []
    learn(dataset, given, folder, watch=lambda _: ends.append(time.monotonic()))
    ours = SAMPLES * (len(ends) - 1) / (ends[-1] - ends[0])
    bare = bare_speed(len(dataset.concepts))
    return {"img/s": round(ours), "img/s, bare": round(bare), "share": round(ours / bare, 3)}


def bare_speed(concepts: int, steps: int = 100) -> float:
    """The same network, loss, optimiser and moving average on a batch that lies on the GPU already."""
    network = build("resnet50", concepts, image_size=SIZE).cuda().to(memory_format=torch.channels_last)
    averaged = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, fused=True)
    images = torch.randn(BATCH, 3, SIZE, SIZE, device="cuda").to(memory_format=torch.channels_last)
    labels = torch.randint(0, concepts, (BATCH,), device="cuda")
    old, new = list(averaged.parameters()), list(network.parameters())
    for step in range(steps + 10):
        if step == 10:  # the first ones choose their kernels
            torch.cuda.synchronize()
            began = time.monotonic()
        with torch.autocast("cuda", torch.bfloat16):
            loss = nn.functional.cross_entropy(network(images), labels, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(old, new, 0.002)
    torch.cuda.synchronize()
    return steps * BATCH / (time.monotonic() - began)


if __name__ == "__main__":
    main()
