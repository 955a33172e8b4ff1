"""A registered version answers with its own code, in the words and values of this project."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pytest
from PIL import Image

from models.runtime.faults import Fault
from models.runtime.predictions import Concepts
from tasks.answers import answers, predictor
from tasks.artifacts import artifacts, trained_on
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
    found = list(answers(ready.version, ready.pictures, "asking"))
    assert [path for path, _, _ in found] == ready.pictures
    assert all(type(answer) is Concepts for _, _, answer in found)
    assert [answer.rows() for _, _, answer in found] == [answer.rows() for answer in one.predict(ready.pictures)]


def test_a_picture_that_cannot_be_decoded_is_listed_where_a_list_is_given_and_a_fault_elsewhere(ready, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    given = [ready.pictures[0], broken, ready.pictures[1]]
    rejected: list[dict[str, str]] = []
    found = list(answers(ready.version, given, "asking", rejected))
    assert [path for path, _, _ in found] == [given[0], given[2]]
    assert [row["path"] for row in rejected] == [str(broken)]
    assert not rejected[0]["reason"].startswith(str(broken))
    with pytest.raises(Fault, match=r"broken\.png"):
        list(answers(ready.version, given, "asking"))


def test_a_fault_of_a_versions_own_runtime_is_ours(ready):
    before_there_were_sums = registered(planned(ready.dataset))
    folder = artifacts(before_there_were_sums)
    (folder / "SHA256SUMS").unlink()
    assert predictor(before_there_were_sums).card.concepts == ("tall", "wide")
    (folder / "weights.safetensors").write_bytes(b"")
    broken = before_there_were_sums.model_copy(update={"number": 2})  # one that is not loaded yet
    with pytest.raises(
        Fault, match=r"/2: .*weights\.safetensors: not the weights of this card \(.*\)\. Bring its files"
    ):
        predictor(broken)


@pytest.mark.parametrize("name", ["weights.safetensors", "card.json", "trained_on.txt", "runtime/transform.py"])
def test_a_byte_that_is_not_the_one_registered_is_noticed(ready, name):
    version = registered(planned(ready.dataset))
    path = artifacts(version) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    told = (
        rf"^{version}: .*{name}: damaged: its sha256 is \w{{8}}…, registered was \w{{8}}…\. Bring its files back from"
    )
    with pytest.raises(Fault, match=told):
        predictor(version)
    with pytest.raises(Exception, match=rf"{name}: damaged: its sha256"):
        mlflow.pyfunc.load_model(f"models:/{version}")


@pytest.mark.parametrize("kept", [0, 100])
def test_a_list_of_digests_that_is_cut_short_is_noticed(ready, kept):
    version = registered(planned(ready.dataset))
    listed = artifacts(version) / "SHA256SUMS"
    listed.write_text(listed.read_text()[:kept])
    with pytest.raises(Fault, match=rf"^{version}: .*SHA256SUMS: damaged: it does not name every file"):
        predictor(version)
    with pytest.raises(Fault, match=rf"^{version}: .*SHA256SUMS: damaged"):
        trained_on(version)


@pytest.mark.parametrize("name", ["weights.safetensors", "card.json", "runtime"])
@pytest.mark.parametrize("sums", [True, False])
def test_a_file_that_is_gone_is_named_with_its_version(ready, name, sums):
    version = registered(planned(ready.dataset))
    folder = artifacts(version)
    if not sums:
        (folder / "SHA256SUMS").unlink()
    (folder / name).rename(folder / "elsewhere")
    with pytest.raises(
        Fault, match=rf"^{version}: .*{name}.* Bring its files back from a backup; or delete this version"
    ):
        predictor(version)


@pytest.mark.parametrize("raised", ["SystemExit(0)", "GeneratorExit", "RuntimeError('odd')"])
@pytest.mark.parametrize("file", ["networks.py", "images.py", "transform.py"])
def test_what_a_versions_code_raises_names_the_version(ready, monkeypatch, tmp_path, raised, file):
    """While it is loaded, while it decodes, while it answers."""
    version = registered(planned(ready.dataset))
    source = artifacts(version) / "runtime" / file
    stop = f"\n\ndef stop(*_, **__):\n    raise {raised}\n\n\nbuild = decode = fit = stop\n"
    source.write_text(source.read_text() + stop)
    (artifacts(version) / "SHA256SUMS").unlink()
    rejected: list[dict[str, str]] = []
    with pytest.raises(Fault, match=rf"^{version}: its own code stopped with {raised[:9]}"):
        list(answers(version, ready.pictures, "asking", rejected))
    assert rejected == []


def test_an_interruption_stays_one(ready, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(predictor(ready.version), "predict", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(answers(ready.version, ready.pictures, "asking"))


def test_the_versions_own_code_decodes(ready, monkeypatch):
    one = predictor(ready.version)
    own = sys.modules[type(one).__module__]
    monkeypatch.setattr(own, "read", lambda path, name="": Image.new("RGB", (7, 5)))
    monkeypatch.setattr(one, "predict", lambda images: [Concepts(np.ones(2, np.float32), ("tall", "wide"))])
    (found,) = answers(ready.version, ready.pictures[:1], "asking")
    assert found[1].size == (7, 5)


def test_the_last_version_asked_is_kept(ready):
    assert predictor(ready.version) is predictor(ready.version)
