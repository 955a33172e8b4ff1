"""A registered version answers with its own code, in the words and values of this project."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from models.runtime.faults import Fault
from models.runtime.predictions import Concepts
from tasks.answers import answers, predictor
from tasks.registry import artifacts
from tests.registered import pinned, planned, registered


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A classifier and the folder of its pictures."""
    folder = tmp_path_factory.mktemp("answers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(folder / "root"))
        shapes = pinned(folder / "shapes")
        version = registered(planned(shapes))
    pictures = sorted((Path(shapes.folder) / "images").rglob("*.png"))
    return SimpleNamespace(version=version, dataset=shapes, pictures=pictures)


def test_answers_come_in_order_with_their_pictures(ready):
    one = predictor(ready.version)
    found = list(answers(one, ready.pictures, "asking"))
    assert [path for path, _, _ in found] == ready.pictures
    assert all(type(answer) is Concepts for _, _, answer in found)
    assert [answer.rows() for _, _, answer in found] == [answer.rows() for answer in one.predict(ready.pictures)]


def test_a_picture_that_cannot_be_decoded_is_listed_where_a_list_is_given_and_a_fault_elsewhere(ready, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    given = [ready.pictures[0], broken, ready.pictures[1]]
    one, rejected = predictor(ready.version), []
    found = list(answers(one, given, "asking", rejected))
    assert [path for path, _, _ in found] == [given[0], given[2]]
    assert [row["path"] for row in rejected] == [str(broken)]
    assert not rejected[0]["reason"].startswith(str(broken))
    with pytest.raises(Fault, match=r"broken\.png"):
        list(answers(one, given, "asking"))


def test_a_fault_of_a_versions_own_runtime_is_ours(ready):
    broken = registered(planned(ready.dataset))
    (artifacts(broken) / "weights.safetensors").write_bytes(b"")
    with pytest.raises(Fault, match=r"weights\.safetensors: not the weights of this card"):
        predictor(broken)


def test_the_versions_own_code_decodes(ready, monkeypatch):
    one = predictor(ready.version)
    own = sys.modules[type(one).__module__]
    monkeypatch.setattr(own, "read", lambda path, name="": Image.new("RGB", (7, 5)))
    monkeypatch.setattr(one, "predict", lambda images: [Concepts(np.ones(2, np.float32), ("tall", "wide"))])
    (found,) = answers(one, ready.pictures[:1], "asking")
    assert found[1].size == (7, 5)


def test_the_last_version_asked_is_kept(ready):
    assert predictor(ready.version) is predictor(ready.version)
