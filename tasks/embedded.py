"""Trainings on embeddings: what a network learns in hours, a head on its vectors learns in seconds."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from models import clusterer, embedding_classifier
from models.embedding_parameters import ClustererParameters, EmbeddingClassifierParameters, EmbeddingParameters
from models.parameters import Parameters
from models.runtime import networks
from models.runtime.faults import Fault
from models.runtime.images import decode
from models.runtime.predictor import Predictor
from tasks.artifacts import artifacts
from tasks.data.annotations import Annotation, distinct
from tasks.data.dataset import Dataset
from tasks.data.loading import entries
from tasks.data.narrowing import only
from tasks.embeddings import embedder_of, embeddings, grid_of
from tasks.files import write
from tasks.groups import cluster_sheets
from tasks.metrics.calibration import calibration_error
from tasks.plots import plot_silhouettes

PROBES = 4  # pictures that this code must embed as the version's own does
Row = dict[str, Any]


def learn_on_embeddings(
    dataset: Dataset, parameters: Parameters, folder: Path, say: Callable[[str], object] = str
) -> tuple[list[Row], str]:
    """Fit a head on a registered model's vectors; leaves the whole network in `best.safetensors` in `folder`.

    Beside it `card.json`: of the model's card what the training decided. Answers the history and the metric's name.
    """
    assert isinstance(parameters, EmbeddingParameters)
    dataset = only(dataset, parameters.concepts)
    version = embedder_of(parameters.embedder)
    annotations = learned_from(dataset, parameters.splits)
    grid = grid_of(version, getattr(parameters, "grid", 1), len(annotations))
    if grid > 1:
        say(f"a vector holds {grid} × {grid} places of a picture")
    how = parameters.mirrored, grid
    vectors = embeddings(version, dataset, annotations, *how)
    inside = Predictor.load(artifacts(version))
    again = inside.embed([decode(dataset.path(entry)) for entry in annotations[:PROBES]], *how)
    _check_same(again, vectors[:PROBES], parameters)
    state, options, names, row = FITS[parameters.type](dataset, annotations, vectors, parameters, folder, say)
    card = inside.card
    options["mirrored"], options["grid"] = how
    options["embedder"] = {"template": card.template, "concepts": len(card.concepts), "options": card.network}
    network = networks.build(parameters.template, len(names), image_size=card.image_size, options=options)
    _fill(network, inside.network, state)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, folder / "best.safetensors")
    decided = {"image_size": card.image_size, "mean": card.mean, "std": card.std, "concepts": names}
    write(folder / "card.json", json.dumps(decided | {"network": options}))
    write(folder / "history.jsonl", json.dumps(row) + "\n")
    return [row], next(name for name in row if name.startswith(("cv_", "silhouette")))


def learned_from(dataset: Dataset, splits: str) -> list[Annotation]:
    """The pictures of these splits (`train`, `train+val`), of bytewise twins the first."""
    return distinct(entries(dataset, splits))


def _fill(network: nn.Module, embedder: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """The embedder's weights inside, the head's after it."""
    network.embedder.load_state_dict(embedder.cpu().state_dict())  # type: ignore[union-attr]
    network.head.load_state_dict(state)  # type: ignore[union-attr]


def _check_same(again: np.ndarray, vectors: np.ndarray, parameters: EmbeddingParameters) -> None:
    """Raises Fault unless this code, which the new version will carry, embeds as the embedder's own code does."""
    if not np.allclose(again, vectors, atol=1e-4 * max(1.0, float(np.abs(vectors).max()))):
        raise Fault(
            f"embedder: {parameters.embedder} embeds otherwise with its own code than with this one. Train it again."
        )


def _classify(
    dataset: Dataset,
    annotations: Sequence[Annotation],
    vectors: np.ndarray,
    parameters: EmbeddingClassifierParameters,
    folder: Path,
    say: Callable[[str], object],
) -> tuple[dict[str, torch.Tensor], Row, list[str], Row]:
    """Concepts: scored on pictures left out, before and after calibration."""
    names = list(dataset.concepts)
    targets = np.array([[name in entry.concepts for name in names] for entry in annotations])
    fitted = embedding_classifier.fit(vectors, targets, parameters)
    exclusive = parameters.concepts_mutually_exclusive
    right = fitted.after.argmax(1) == targets.argmax(1) if exclusive else ((fitted.after >= 0.5) == targets).mean(1)
    row = {
        "step": len(annotations),
        "cv_accuracy": float(right.mean()),
        "calibration_error_before": calibration_error(fitted.before, targets, exclusive),
        "calibration_error_after": calibration_error(fitted.after, targets, exclusive),
        **fitted.decided,
    }
    say(
        f"learned from {len(annotations)} pictures: accuracy {row['cv_accuracy']:.4f} in cross-validation, calibration "
        f"error {row['calibration_error_before']:.4f}, {row['calibration_error_after']:.4f} once calibrated"
    )
    return fitted.state, fitted.options, names, row


def _cluster(
    dataset: Dataset,
    annotations: Sequence[Annotation],
    vectors: np.ndarray,
    parameters: ClustererParameters,
    folder: Path,
    say: Callable[[str], object],
) -> tuple[dict[str, torch.Tensor], Row, list[str], Row]:
    """Clusters, with a picture of each beside the weights."""
    found = clusterer.fit(vectors, parameters, say)
    count = len(found.centres)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
    distances = np.stack([np.linalg.norm(unit - centre, axis=1) for centre in found.centres], axis=1)
    cluster_sheets(dataset, annotations, distances, folder)
    if len(found.silhouettes) > 1:
        plot_silhouettes(found.silhouettes, count, folder / "silhouettes.png")
    row = {"step": len(annotations), "silhouette": found.silhouettes[count], "clusters": count}
    state = {"centres": torch.from_numpy(found.centres)}
    return state, {"size": vectors.shape[1]}, [f"cluster {i}" for i in range(count)], row


FITS: dict[str, Callable[..., tuple[dict[str, torch.Tensor], Row, list[str], Row]]] = {
    "embedding-classifier": _classify,
    "clusterer": _cluster,
}
