"""Pictures through a graph: every node's answer for each, in the picture's own pixels, right-shaped when empty."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from models.runtime.faults import Fault
from models.runtime.kinds import KINDS
from models.runtime.predictions import Concepts, Embeddings, Regions
from models.runtime.workflows.graph import parse
from models.runtime.workflows.plan import Signature
from models.runtime.workflows.running import Workflow
from models.runtime.workflows.wiring import plan

SPOT = (0.0, 128.0)  # above: the red channel of a spot


class Spots:
    """A detector of red pixels: a box around each. It notes the pictures it was asked about."""

    card = SimpleNamespace(threshold=0.5, concepts=("spot",))
    kind = KINDS["visual-detector"]

    def __init__(self) -> None:
        self.asked: list[list[tuple[int, int]]] = []

    def predict(self, images: list[Image.Image]) -> list[Regions]:
        self.asked.append([image.size for image in images])
        return [self._found(np.asarray(image)) for image in images]

    def _found(self, pixels: np.ndarray) -> Regions:
        y, x = np.nonzero((pixels[..., 0] > 128) & (pixels[..., 1] < 100))
        boxes = np.stack([x, y, x + 1, y + 1], axis=1).astype(np.float64)
        return Regions(boxes, np.full(len(x), 0.9, np.float32), np.zeros(len(x), np.int64), ("spot",))


class Red:
    """A classifier: red, and not red, by the mean of the picture."""

    card = SimpleNamespace(threshold=0.5, concepts=("red", "other"))
    kind = KINDS["visual-classifier"]

    def predict(self, images: list[Image.Image]) -> list[Concepts]:
        shares = [np.asarray(image)[..., 0].mean() / 255 for image in images]
        return [Concepts(np.array([share, 1 - share], np.float32), self.card.concepts) for share in shares]


class Mean:
    """An embedder: the mean colour."""

    card = SimpleNamespace(threshold=0.5, concepts=())
    kind = KINDS["visual-embedder"]

    def predict(self, images: list[Image.Image]) -> list[Embeddings]:
        return [Embeddings(np.asarray(image).reshape(-1, 3).mean(axis=0).astype(np.float32)) for image in images]


KNOWN = {
    "spots": Signature("spots/1", "visual-detector", "regions", ("spot",)),
    "red": Signature("red/1", "visual-classifier", "concepts", ("red", "other")),
    "mean": Signature("mean/1", "visual-embedder", "embeddings", ()),
}
FIND = {"id": "find", "model": "spots", "inputs": ["image"]}
CROPS = {"id": "crops", "operator": "image-crop", "inputs": ["image", "find"]}


def workflow(*nodes: dict) -> Workflow:
    graph = parse({"workflow": {"name": "test", "nodes": list(nodes)}}, [])
    return Workflow(plan(graph, KNOWN), {"spots/1": Spots(), "red/1": Red(), "mean/1": Mean()})


def spotted(*places: tuple[int, int], size: tuple[int, int] = (40, 30)) -> Image.Image:
    image = Image.new("RGB", size)
    for place in places:
        image.putpixel(place, (255, 0, 0))
    return image


def one(flow: Workflow, image: Image.Image) -> dict:
    return flow.started()([image])[0]


def test_each_picture_has_every_nodes_answer():
    flow = workflow(FIND, CROPS, {"id": "grade", "model": "red", "inputs": ["crops"]})
    answers = flow.started()([spotted((3, 4), (9, 9)), spotted(), spotted((1, 1))])
    assert [list(answer) for answer in answers] == [["find", "crops", "grade"]] * 3
    assert [len(answer["grade"]) for answer in answers] == [2, 0, 1]
    assert answers[0]["grade"].concepts == ("red", "other")


def test_a_crop_keeps_its_box_and_row():
    flow = workflow(FIND, CROPS | {"params": {"margin": 3}}, {"id": "grade", "model": "red", "inputs": ["crops"]})
    answer = one(flow, spotted((3, 4), (20, 9)))
    assert [view.image.size for view in answer["crops"].views] == [(3, 3), (3, 3)]
    assert answer["grade"].boxes.tolist() == answer["find"].boxes.tolist() == [[3, 4, 4, 5], [20, 9, 21, 10]]
    assert answer["grade"].more["parent"].tolist() == [0, 1]
    assert answer["grade"].more["concept_scores"].shape == (2, 2)
    assert answer["grade"].scores == pytest.approx([8 / 9, 8 / 9])


def test_what_is_found_in_a_crop_comes_back_in_the_pictures_pixels():
    again = {"id": "again", "model": "spots", "inputs": ["crops"]}
    answer = one(workflow(FIND, CROPS | {"params": {"margin": 9}}, again), spotted((3, 4), (5, 4), (30, 20)))
    assert sorted({tuple(box) for box in answer["again"].boxes.tolist()}) == [
        (3, 4, 4, 5),
        (5, 4, 6, 5),
        (30, 20, 31, 21),
    ]
    assert answer["again"].more["parent"].tolist() == [0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("operator", "params"),
    [
        ("image-rotate", {"degrees": 90}),
        ("image-rotate", {"degrees": -90}),
        ("image-rotate", {"degrees": 180}),
        ("image-resize", {"side": 160, "which": "width", "filter": "nearest"}),
    ],
)
def test_what_is_found_in_a_changed_picture_comes_back_in_its_own_pixels(operator, params):
    change = {"id": "change", "operator": operator, "params": params, "inputs": ["image"]}
    crop = {"id": "crops", "operator": "image-crop", "params": {"margin": 5}, "inputs": ["change", "find"]}
    again = {"id": "again", "model": "spots", "inputs": ["crops"]}
    answer = one(workflow(change, FIND | {"inputs": ["change"]}, crop, again), spotted((3, 4)))
    for node in ("find", "again"):
        boxes = answer[node].boxes
        assert boxes.min(axis=0)[:2].tolist() == [3, 4]
        assert boxes.max(axis=0)[2:].tolist() == [4, 5]


def test_an_empty_result_keeps_its_shape_all_the_way():
    flow = workflow(
        FIND,
        CROPS,
        {"id": "grade", "model": "red", "inputs": ["crops"]},
        {"id": "vector", "model": "mean", "inputs": ["crops"]},
        {"id": "again", "model": "spots", "inputs": ["crops"]},
        {"id": "best", "operator": "top-k", "inputs": ["grade"]},
        {"id": "count", "operator": "object-counter", "inputs": ["best"]},
        {"id": "text", "operator": "reading-order", "inputs": ["best"]},
    )
    answer = one(flow, spotted())
    for node in ("find", "grade", "vector", "again", "best"):
        assert answer[node].boxes.shape == (0, 4)
    assert answer["grade"].concepts == answer["best"].concepts == ("red", "other")
    assert answer["best"].more["concept_scores"].shape == (0, 2)
    assert answer["grade"].more["parent"].dtype == np.int64
    assert (answer["count"].total, answer["text"].text) == (0, "")


def test_crops_of_all_pictures_are_asked_about_together_and_a_version_is_there_once():
    again = {"id": "again", "model": "spots", "inputs": ["crops"]}
    flow = workflow(FIND, CROPS, again)
    flow.started()([spotted((1, 1)), spotted(), spotted((2, 2), (3, 3))])
    assert flow.predictors["spots/1"].asked == [[(40, 30)] * 3, [(1, 1)] * 3]


def test_a_nodes_threshold_takes_the_place_of_the_models_own():
    for threshold, count in ((None, 1), (0.95, 0), (0.0, 1)):
        node = FIND | ({} if threshold is None else {"params": {"threshold": threshold}})
        assert len(one(workflow(node), spotted((1, 1)))["find"]) == count


def test_a_tracker_wants_a_video():
    flow = workflow(FIND, {"id": "track", "operator": "centroid", "inputs": ["find"]})
    with pytest.raises(Fault, match=r"track: centroid follows things from frame to frame: give it a video"):
        one(flow, spotted((1, 1)))


def test_each_stream_has_ids_of_its_own_and_batches_do_not_show():
    flow = workflow(FIND, {"id": "track", "operator": "centroid", "inputs": ["find"]})
    frames = [spotted((x, 5)) for x in range(1, 20, 3)]
    times = [i * 100.0 for i in range(len(frames))]

    def ids(size: int) -> list[list[int]]:
        answer, found = flow.started(), []
        for start in range(0, len(frames), size):
            found += answer(frames[start : start + size], times[start : start + size])
        return [each["track"].more["track_id"].tolist() for each in found]

    assert ids(3) == ids(7) == [[1]] * 7


def test_a_fault_names_its_node():
    tiles = {"id": "tiles", "operator": "image-tile", "params": {"side": 64, "overlap": 0.9}, "inputs": ["image"]}
    with pytest.raises(Fault, match=r"^tiles: image-tile: "):
        one(workflow(tiles), spotted(size=(4000, 4000)))


def test_a_table_holds_every_answer_as_json_does():
    flow = workflow(FIND, CROPS)
    (row, other) = flow.table([np.asarray(spotted((3, 4))), spotted()], batch_size=1)
    assert (row["image"], other["image"]) == (0, 1)
    assert row["find"]["regions"][0]["box"] == [3, 4, 4, 5]
    assert row["crops"]["images"][0]["png"].startswith("iVBOR")
    assert other["find"] == {"regions": []}
