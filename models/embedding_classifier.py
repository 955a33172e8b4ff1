"""The embedding-classifier: concepts learned in seconds from vectors that another network made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.embedding_parameters import EmbeddingClassifierParameters
from models.runtime.heads import Neighbours

FOLDS = 5
STRENGTHS = (1e4, 1e3, 1e2, 1e1, 1e0, 1e-1)  # of the penalty; from the strongest on, until it gets worse
TEMPERATURES = torch.logspace(-1.3, 1.3, 261, dtype=torch.float64)  # .05 to 20
BLOCK = 1000  # rows of similarities at once: memory does not grow with the square of the pictures


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A head that was fitted.

    state: its weights by name, float32.  options: what its builder needs beside.  decided: what was picked, by name.
    before, after: (N, C) float32 scores of pictures that the head which gave them had not seen (cross-validation),
    before and after calibration; empty where nothing is calibrated.
    """

    state: dict[str, Tensor]
    options: dict[str, Any]
    decided: dict[str, float]
    before: np.ndarray
    after: np.ndarray


def fit(vectors: np.ndarray, targets: np.ndarray, given: EmbeddingClassifierParameters) -> Fitted:
    """Fit the head of the template to vectors (N, D) float32 with targets (N, C) bool, and calibrate its scores.

    The same vectors, targets and parameters give the same head.
    """
    return FITS[given.template](torch.from_numpy(vectors), torch.from_numpy(targets).double(), given)


def _linear(vectors: Tensor, targets: Tensor, given: EmbeddingClassifierParameters) -> Fitted:
    """Logistic regression on standardised vectors; the standardising and the calibration are folded into it."""
    exclusive = given.concepts_mutually_exclusive
    mean = vectors.mean(0, dtype=torch.float64).float()
    standard = vectors - mean
    spread = standard.square().mean(0, dtype=torch.float64).sqrt().clamp(min=1e-6).float()
    standard /= spread  # all in float32, which is what the vectors are: in float64 a copy takes twice their memory
    l2, logits = _strength(standard, targets.float(), given)
    scale, shift = calibration(logits, targets, exclusive)
    weight, bias = _solve(standard, targets.float(), l2, exclusive)
    folded = weight.double() / spread * scale[:, None]
    state = {"weight": folded.float(), "bias": (scale * bias + shift - folded @ mean.double()).float()}
    return _calibrated(state, {"size": vectors.shape[1]}, {"l2": l2}, logits, (scale, shift), exclusive)


def _strength(vectors: Tensor, targets: Tensor, given: EmbeddingClassifierParameters) -> tuple[float, Tensor]:
    """The penalty with the least loss on pictures left out, and their logits (N, C) float64 with it."""
    exclusive = given.concepts_mutually_exclusive
    fold = folds(targets, given.seed)
    starts: list[Any] = [None] * FOLDS
    best: tuple[float, float, Tensor] | None = None
    for l2 in (given.l2,) if given.l2 else STRENGTHS:
        logits = torch.zeros_like(targets)
        for i in range(FOLDS):
            inside = fold != i
            weight, bias = starts[i] = _solve(vectors[inside], targets[inside], l2, exclusive, starts[i])
            logits[~inside] = vectors[~inside] @ weight.T + bias
        loss = float(_loss(logits, targets, exclusive))
        if best is not None and loss >= best[0]:
            break
        best = (loss, l2, logits)
    assert best is not None
    return best[1], best[2].double()


def folds(targets: Tensor, seed: int) -> Tensor:
    """(N,) int64, 0 to FOLDS - 1: which fold leaves each row of targets (N, C) out.

    The rows of each concept (of several the rarest) are dealt out evenly, in an order that the seed decides.
    """
    counts = targets.sum(0)
    rarest = torch.where(targets > 0, counts, float("inf")).argmin(1)
    drawn = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed))
    order = drawn[rarest[drawn].argsort(stable=True)]
    found = torch.empty(len(targets), dtype=torch.int64)
    found[order] = torch.arange(len(targets)) % FOLDS
    return found


def _solve(vectors: Tensor, targets: Tensor, l2: float, exclusive: bool, start: Any = None) -> tuple[Tensor, Tensor]:
    """Weights (C, D) and biases (C,) of least loss; that of concepts which do not exclude each other is a sum."""
    weight, bias = start or (torch.zeros(targets.shape[1], vectors.shape[1]), torch.zeros(targets.shape[1]))
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    # So that 2,500 vectors of 512 numbers take .1 s a time: with a hundredth of these it is the same to five digits.
    ends = {"max_iter": 200, "tolerance_grad": 1e-4, "tolerance_change": 1e-7, "history_size": 10}
    steps = torch.optim.LBFGS([weight, bias], line_search_fn="strong_wolfe", **ends)  # type: ignore[arg-type]

    def loss() -> Tensor:
        steps.zero_grad()
        value = _loss(vectors @ weight.T + bias, targets, exclusive) + l2 / 2 * weight.square().sum() / len(vectors)
        value.backward()
        return value

    steps.step(loss)
    return weight.detach(), bias.detach()


def _loss(logits: Tensor, targets: Tensor, exclusive: bool) -> Tensor:
    """Mean over the pictures: cross-entropy, or one yes-or-no a concept, summed."""
    if exclusive:
        return functional.cross_entropy(logits, targets.argmax(1))
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(1).mean()


def _neighbours(vectors: Tensor, targets: Tensor, given: EmbeddingClassifierParameters) -> Fitted:
    """Nothing to fit: the vectors themselves, each left out once to calibrate the votes of the others."""
    exclusive = given.concepts_mutually_exclusive
    stored = functional.normalize(vectors)
    options = {"size": vectors.shape[1], "count": len(vectors), "k": given.neighbours, "exclusive": exclusive}
    k = min(given.neighbours, len(vectors) - 1)
    head = Neighbours(vectors.shape[1], targets.shape[1], len(vectors), k, exclusive)
    head.load_state_dict({"stored": stored, "labels": targets.float()}, strict=False)
    parts = []
    for start in range(0, len(stored), BLOCK):
        similar = stored[start : start + BLOCK] @ stored.T
        similar[range(len(similar)), range(start, start + len(similar))] = -2  # itself is no neighbour
        parts.append(head.logits(similar).double())
    logits = torch.cat(parts)
    scale, shift = calibration(logits, targets, exclusive)
    state = {"stored": stored, "labels": targets.float(), "scale": scale.float(), "shift": shift.float()}
    return _calibrated(state, options, {"neighbours": head.k}, logits, (scale, shift), exclusive)


def calibration(logits: Tensor, targets: Tensor, exclusive: bool) -> tuple[Tensor, Tensor]:
    """(scale (C,), shift (C,)) float64 that make scores of logits (N, C) as often right as they say.

    Concepts that exclude each other share one temperature (Guo 2017), others have a sigmoid each (Platt 1999).
    The truth is taken to be a little unsure, (n + 1) / (n + 2) and 1 / (n + 2) after Platt, so that pictures
    that are told apart without an error do not make it sure of everything.
    """
    concepts = targets.shape[1]
    count = targets.sum(0)
    if exclusive:
        unsure = 1 / (count + 2)
        soft = targets * (1 - unsure) + (1 - targets) * (targets @ unsure)[:, None] / max(1, concepts - 1)
        losses = [functional.cross_entropy(logits / t, soft) for t in TEMPERATURES]
        return (1 / TEMPERATURES[torch.stack(losses).argmin()]).expand(concepts).clone(), torch.zeros(concepts).double()
    soft = torch.where(targets > 0, (count + 1) / (count + 2), 1 / (len(targets) - count + 2))
    scale, shift = torch.ones(concepts).double().requires_grad_(), torch.zeros(concepts).double().requires_grad_()
    steps = torch.optim.LBFGS([scale, shift], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        steps.zero_grad()
        value = functional.binary_cross_entropy_with_logits(logits * scale + shift, soft)
        value.backward()
        return value

    steps.step(loss)
    scale, shift = scale.detach(), shift.detach()
    rate = soft.mean(0)  # what is left to say of a concept whose score says less than nothing
    return scale.clamp(min=0), torch.where(scale > 0, shift, (rate / (1 - rate)).log())


def _calibrated(
    state: dict[str, Tensor],
    options: dict[str, Any],
    decided: dict[str, float],
    logits: Tensor,
    fitted: tuple[Tensor, Tensor],
    exclusive: bool,
) -> Fitted:
    scale, shift = fitted
    before, after = (
        (given.softmax(1) if exclusive else given.sigmoid()).float().numpy()
        for given in (logits, logits * scale + shift)
    )
    if exclusive:
        decided = decided | {"temperature": float(1 / scale[0])}
    return Fitted(state, options, decided, before, after)


FITS: dict[str, Callable[[Tensor, Tensor, EmbeddingClassifierParameters], Fitted]] = {
    "linear": _linear,
    "knn": _neighbours,
}
