"""Concepts learned from vectors: as scikit-learn finds them, calibrated, the same each time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from models.embedding_classifier import FOLDS, calibration, fit, folds
from models.parameters import parameters
from models.runtime.heads import Neighbours


def points(count: int = 90, spread: float = 1.0, concepts: int = 3, size: int = 6):
    """Vectors around a centre for each concept, and (N, C) bool which."""
    drawn = np.random.default_rng(0)
    labels = np.arange(count) % concepts
    centres = np.random.default_rng(1).normal(size=(concepts, size)) * 2
    vectors = (centres[labels] + drawn.normal(size=(count, size)) * spread + 5).astype(np.float32)
    return vectors, np.eye(concepts, dtype=bool)[labels]


def head_of(fitted, template: str, concepts: int = 3, size: int = 6) -> nn.Module:
    """The head with the state that was fitted."""
    head = nn.Linear(size, concepts) if template == "linear" else Neighbours(concepts=concepts, **fitted.options)
    head.load_state_dict(fitted.state)
    return head


def test_a_linear_head_finds_what_logistic_regression_finds():
    vectors, targets = points()
    fitted = fit(vectors, targets, parameters({"template": "linear", "l2": 3.0}))
    standard = (vectors - vectors.mean(0)) / vectors.std(0)
    known = LogisticRegression(C=1 / 3.0, tol=1e-8, max_iter=1000).fit(standard, targets.argmax(1))
    ours = head_of(fitted, "linear")(torch.from_numpy(vectors)) * fitted.decided["temperature"]
    expected = torch.from_numpy(known.predict_proba(standard)).float()
    assert torch.allclose(ours.softmax(1), expected, atol=5e-3)


@pytest.mark.parametrize("template", ["linear", "knn"])
@pytest.mark.parametrize("exclusive", [True, False])
def test_concepts_are_told_from_about_ten_pictures_each(template, exclusive):
    vectors, targets = points(30)
    wanted = parameters({"template": template, "concepts_mutually_exclusive": exclusive, "neighbours": 5})
    fitted = fit(vectors, targets, wanted)
    unseen, truth = points(300)
    with torch.no_grad():
        logits = head_of(fitted, template)(torch.from_numpy(unseen))
    assert (logits.argmax(1).numpy() == truth.argmax(1)).mean() > 0.85
    assert fitted.after.shape == fitted.before.shape == (30, 3)
    if not exclusive:
        assert ((logits.sigmoid().numpy() >= 0.5) == truth).mean() > 0.85


def test_the_same_vectors_give_the_same_head():
    vectors, targets = points()
    first, second = (fit(vectors, targets, parameters({"template": "linear", "seed": 3})) for _ in range(2))
    assert all(torch.equal(first.state[name], second.state[name]) for name in first.state)


def test_a_strong_penalty_is_picked_where_vectors_say_nothing():
    vectors, targets = points(60, spread=200.0)
    assert fit(vectors, targets, parameters({"template": "linear"})).decided["l2"] >= 100
    vectors, targets = points(60, spread=0.3)
    assert fit(vectors, targets, parameters({"template": "linear"})).decided["l2"] <= 10


def test_each_fold_leaves_out_its_share_of_every_concept():
    labels = torch.tensor([0] * 10 + [1] * 15 + [2] * 5)
    targets = torch.nn.functional.one_hot(labels).double()
    fold = folds(targets, seed=0)
    for concept, count in ((0, 2), (1, 3), (2, 1)):
        assert torch.bincount(fold[labels == concept], minlength=FOLDS).tolist() == [count] * FOLDS
    assert not torch.equal(fold, folds(targets, seed=1))


def test_calibration_takes_back_what_is_claimed_too_surely():
    drawn = torch.Generator().manual_seed(0)
    honest = torch.randn(4000, 3, generator=drawn).double()
    labels = torch.multinomial(honest.softmax(1), 1, generator=drawn)[:, 0]
    targets = torch.nn.functional.one_hot(labels).double()
    scale, shift = calibration(honest * 4, targets, exclusive=True)
    assert scale.tolist() == pytest.approx([0.25] * 3, abs=0.03)
    assert shift.tolist() == [0] * 3
    yes = (torch.rand(4000, 3, generator=drawn) < honest.sigmoid()).double()
    scale, shift = calibration(honest * 4 + 1, yes, exclusive=False)
    assert scale.tolist() == pytest.approx([0.25] * 3, abs=0.03)
    assert shift.tolist() == pytest.approx([-0.25] * 3, abs=0.1)


def test_pictures_told_apart_without_an_error_make_it_sure_of_nothing_entirely():
    targets = torch.eye(2).double().repeat(10, 1)
    scale, _ = calibration(targets * 20 - 10, targets, exclusive=True)
    assert 0.8 < float(((targets * 20 - 10) * scale).softmax(1).max()) < 0.99


def test_a_neighbour_that_is_oneself_does_not_vote():
    vectors = np.float32([[1, 0], [1, 0.01], [0, 1], [0.01, 1]])
    targets = np.array([[True, False], [False, True], [True, False], [False, True]])  # the nearest other is wrong
    fitted = fit(vectors, targets, parameters({"template": "knn", "neighbours": 1}))
    assert (fitted.before.argmax(1) != targets.argmax(1)).all()
