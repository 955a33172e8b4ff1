"""The ingest flow tells its story in the Prefect UI."""

import json

import pytest
from PIL import Image
from prefect.artifacts import Artifact

from flows.ingest import ingest
from models.runtime.faults import Fault


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for i in range(10):
        for concept, shade in (("cat", i), ("dog", 100 + i)):
            (folder / concept).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 6), (shade, 0, 0)).save(folder / concept / f"{i}.png")
    return folder


def test_the_flow_brings_pictures_in_and_shows_what_came(photos):
    (photos / "cat/broken.png").write_bytes(b"")
    done = ingest(str(photos), "Pets_2")
    assert (done.dataset, done.images, done.splits) == ("Pets_2", 20, {"train": 16, "val": 2, "test": 2})
    table = json.loads(Artifact.get("ingest-pets-2-concepts").data)
    assert table[1] == {"concept": "dog", "train": 8, "val": 1, "test": 1, "boxes": 0}
    text = Artifact.get("ingest-pets-2").data
    assert done.dataset_version in text and "cat/broken.png" in text


def test_a_refused_ingest_fails_the_run(photos, workspace):
    for i in range(5):
        (photos / f"cat/{i}.png").write_bytes(b"")
    with pytest.raises(Fault, match=r"more than the tolerated 5\.0%"):
        ingest(str(photos), "pets")
    assert not (workspace / "data/pets").exists()
