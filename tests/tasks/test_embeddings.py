"""A picture is embedded once for each version, whatever dataset it is in."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from models.runtime.faults import Fault
from models.runtime.predictor import Predictor
from tasks import embeddings as room
from tasks.answers import predictor
from tasks.artifacts import artifacts
from tasks.embeddings import embedder_of, embeddings, grid_of
from tasks.workspace import state
from tests.registered import lively, pinned, planned, registered


@pytest.fixture
def counted(monkeypatch):
    """How many pictures are decoded to be embedded."""
    seen = []
    monkeypatch.setattr(
        room, "_computed", lambda *given, whole=room._computed: seen.append(len(given[2])) or whole(*given)
    )
    return seen


def test_vectors_are_the_networks_own_in_the_order_asked_and_computed_once(tmp_path, counted):
    shapes = pinned(tmp_path / "shapes")
    version, opened = registered(planned(shapes)), shapes.open()
    entries = opened.annotations[5::-1]
    found = embeddings(version, opened, entries)
    ready = predictor(version)
    expected = ready.embed([Image.open(opened.path(entry)).convert("RGB") for entry in entries])
    assert found.dtype == np.float32 and np.allclose(found, expected, atol=1e-5)
    again = embeddings(version, opened, entries)
    assert np.array_equal(found, again)
    more = embeddings(version, opened, opened.annotations)
    assert np.array_equal(more[5::-1], found)
    assert counted == [6, 0, len(opened) - 6]


def test_mirrored_vectors_are_others_and_kept_apart(tmp_path, counted):
    shapes = pinned(tmp_path / "shapes")
    version, opened = registered(planned(shapes)), shapes.open()
    plain, mirrored = (embeddings(version, opened, opened.annotations[:4], both) for both in (False, True))
    pictures = [Image.open(opened.path(entry)).convert("RGB") for entry in opened.annotations[:4]]
    assert np.allclose(mirrored, predictor(version).embed(pictures, True), atol=1e-5)
    assert not np.allclose(mirrored, plain, atol=1e-3)
    assert counted == [4, 4]


def test_vectors_of_places_are_the_networks_own_and_kept_apart(tmp_path, counted):
    shapes = pinned(tmp_path / "shapes")
    version, opened = registered(planned(shapes, template="resnet_light", image_size=96)), shapes.open()
    entries = opened.annotations[:4]
    pictures = [Image.open(opened.path(entry)).convert("RGB") for entry in entries]
    for how in [(False, 2), (True, 2), (True, 3)]:
        found = embeddings(version, opened, entries, *how)
        assert np.allclose(found, predictor(version).embed(pictures, *how), atol=1e-5)
        assert found.shape == (4, 192 * how[1] ** 2)
    assert counted == [4, 4, 4]


def test_a_grid_is_as_fine_as_the_network_tells_apart_and_leaves_vectors_short(tmp_path, monkeypatch):
    shapes = pinned(tmp_path / "shapes")
    version = registered(planned(shapes, template="resnet_light", image_size=128))  # its last map is 4 × 4
    assert [grid_of(version, wanted, 100) for wanted in (0, 1, 4)] == [3, 1, 4]
    with pytest.raises(Fault, match=rf"grid: {version} tells 4 × 4 places .* at 128 pixels, got 5\. Set grid: 4, or 0"):
        grid_of(version, 5, 100)
    assert grid_of(version, 0, room.MOST // (4 * 192)) == 2
    monkeypatch.setattr(room, "LONGEST", 4 * 192)
    assert grid_of(version, 0, 100) == 2
    assert (
        grid_of(registered(planned(shapes, template="resnet_light", image_size=32)), 0, 100) == 1
    )  # one cell: nine copies would say no more


class Older:
    """A predictor of a version registered before models knew a grid."""

    def __init__(self, ready: Predictor) -> None:
        self.card, self.ready = ready.card, ready

    def embed(self, pictures, mirrored=False):
        return self.ready.embed(pictures, mirrored)


Older.__module__ = Predictor.__module__


def test_an_older_version_embeds_whole_pictures(tmp_path, monkeypatch):
    shapes = pinned(tmp_path / "shapes")
    version, opened = registered(planned(shapes, template="resnet_light", image_size=128)), shapes.open()
    older = Older(Predictor.load(artifacts(version)))
    monkeypatch.setattr(room, "predictor", lambda _: older)
    told = []
    monkeypatch.setattr(room, "log", told.append)
    assert grid_of(version, 0, 100) == 1 and f"{version} was registered before models told places apart" in told[0]
    assert embeddings(version, opened, opened.annotations[:2], True, 1).shape == (2, 192)
    with pytest.raises(Fault, match=rf"got 2\. {version} was registered before .* apart\. Set grid: 1, or 0"):
        grid_of(version, 2, 100)


def test_a_network_without_places_has_whole_pictures_alone(tmp_path):
    shapes = pinned(tmp_path / "shapes")
    version = registered(planned(shapes, template="angular_margin", image_size=32, epochs=1))
    assert grid_of(version, 0, 100) == grid_of(version, 1, 100) == 1
    with pytest.raises(Fault, match=rf"grid: {version} tells 1 × 1 places .*, got 2\. Set grid: 1, or 0"):
        grid_of(version, 2, 100)


def test_a_damaged_file_is_computed_again(tmp_path, counted):
    shapes = pinned(tmp_path / "shapes")
    version, opened = registered(planned(shapes)), shapes.open()
    found = embeddings(version, opened, opened.annotations[:4])
    (path,) = (state() / "embeddings" / version.logged_model).glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-50])
    assert np.array_equal(embeddings(version, opened, opened.annotations[:4]), found)
    assert counted == [4, 4]


def test_a_kill_costs_one_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "CHUNK", 4)
    monkeypatch.setattr(room, "BATCH", 2)
    shapes = pinned(tmp_path / "shapes")
    version, opened = registered(planned(shapes)), shapes.open()
    entries = opened.annotations
    opened.path(entries[9]).unlink()  # where it stops
    with pytest.raises(Fault):
        embeddings(version, opened, entries)
    assert len(room._kept(state() / "embeddings" / version.logged_model, {e.sha256: e for e in entries})) == 8


def test_a_detector_makes_no_vectors(tmp_path):
    detector = registered(planned(pinned(tmp_path / "scenes", task="detection")), lively)
    with pytest.raises(Fault, match=r"is a visual-detector\. Vectors are made by"):
        embedder_of(str(detector))
    with pytest.raises(Fault, match="a visual-detector makes no embeddings"):
        Predictor.load(artifacts(detector)).embed([])
