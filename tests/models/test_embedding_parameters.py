"""What trainings of embedders and on embeddings can be told, and what is refused."""

from __future__ import annotations

import pytest

from models.parameters import BY_TYPE, parameters
from models.runtime.faults import Fault


def test_every_type_has_its_parameters():
    assert set(BY_TYPE) == {
        "visual-classifier",
        "visual-detector",
        "visual-embedder",
        "embedding-classifier",
        "clusterer",
    }


def test_as_is_trains_nothing_by_default():
    given = parameters({"template": "as_is"})
    assert (given.epochs, given.embedding_size, given.weights) == (0, 0, "pretrained")
    assert given.network_options == {"backbone": "resnet50", "embedding_size": 0}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"template": "as_is", "weights": "none"}, "weights: as_is trains nothing: name pretrained"),
        ({"template": "as_is", "epochs": 2}, "epochs: as_is takes 0 alone, got 2"),
        ({"template": "angular_margin", "epochs": 0}, "epochs: angular_margin takes 1 to 1000, got 0"),
        ({"template": "angular_margin", "embedding_size": 0}, "embedding_size: angular_margin takes 8 to 2048"),
        ({"template": "angular_margin", "backbone": "resnet19"}, "no network 'resnet19'.*Did you mean 'resnet18'"),
        ({"template": "kmeans", "clusters": 1}, "clusters: one cluster tells nothing apart"),
        ({"template": "linear", "epochs": 3}, "epochs: no such parameter"),
        ({"template": "Clarifai_ResNet_AngularMargin"}, "Use 'angular_margin' instead"),
    ],
)
def test_what_makes_no_sense_is_refused(given, said):
    with pytest.raises(Fault, match=said):
        parameters(given)
