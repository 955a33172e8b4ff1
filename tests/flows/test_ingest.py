"""The ingest flow tells its story in the Prefect UI."""

import json
import threading

import pytest
from PIL import Image
from prefect.artifacts import Artifact
from prefect.client.orchestration import get_client

from flows.ingest import ingest
from models.runtime.faults import Fault
from tasks import ingest as verbs
from tasks.data import store
from tasks.data.draft import Draft
from tasks.data.formats.source import Source


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


def test_prefect_does_not_look_into_what_the_steps_hand_on(photos, monkeypatch):
    given = []
    for name in ("check", "split", "write", "version", "report"):
        verb = getattr(verbs, name)
        monkeypatch.setattr(verbs, name, lambda *values, verb=verb: (given.extend(values), verb(*values))[1])
    assert ingest(str(photos), "pets").images == 20
    assert given and not [value for value in given if isinstance(value, Source | Draft)]


def test_an_ingest_waits_for_the_one_at_work(photos, monkeypatch):
    order, held, done = [], threading.Event(), threading.Event()

    def other():
        with store.locked():
            held.set()
            done.wait(60)
            order.append("other")

    read = verbs.read
    monkeypatch.setattr(verbs, "read", lambda request: (order.append("flow"), read(request))[1])
    monkeypatch.setattr(store.log, "warning", lambda *_: done.set())  # it says that it waits: the other may end
    thread = threading.Thread(target=other)
    thread.start()
    held.wait()
    try:
        ingest(str(photos), "pets")
    finally:
        done.set()
        thread.join()
    assert order == ["other", "flow"]


def test_a_refused_ingest_fails_the_run(photos, workspace):
    for i in range(5):
        (photos / f"cat/{i}.png").write_bytes(b"")
    state = ingest(str(photos), "pets", return_state=True)
    with pytest.raises(Fault, match=r"more than the tolerated 5\.0%"):
        state.result()
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(state.state_details.flow_run_id).state.is_failed()
    assert not (workspace / "data/pets").exists()
