"""One way from pictures to answers, the same for whoever asks and in whatever company."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from models.runtime import kinds, networks
from models.runtime.card import Card
from models.runtime.faults import Fault
from models.runtime.kinds import FLOOR
from models.runtime.predictions import Concepts, Regions
from models.runtime.predictor import Predictor, read

NAMES = ("hail", "wind", "wear")


def card(type: str = "visual-detector", template: str = "fcos_light", image_size: int = 64, **more) -> Card:
    mean, std = networks.normalisation(template)
    return Card(type, template, NAMES, image_size, mean, std, **more)


class Fixed(nn.Module):
    """A detector that answers the same for every picture, and remembers what it was shown."""

    def __init__(self, *boxes, scores=None, labels=None) -> None:
        super().__init__()
        self.boxes = torch.tensor(np.array(boxes, np.float32).reshape(-1, 4))
        self.scores = torch.tensor(scores or [0.5] * len(boxes))
        self.labels = torch.tensor(labels or [0] * len(boxes))
        self.seen: list[tuple] = []

    def detect(self, images, score_threshold, nms_iou, max_detections):
        self.seen.append((tuple(images.shape), score_threshold, nms_iou, max_detections))
        return [(self.boxes, self.scores, self.labels)] * len(images)


class Brightness(nn.Module):
    """A classifier whose logits are the means of the three channels it is shown."""

    def forward(self, images):
        return images.mean((2, 3))


@pytest.fixture
def detector(monkeypatch) -> Predictor:
    """An untrained network, unsure of everything, that answers with every box it thinks of."""
    monkeypatch.setattr(kinds, "FLOOR", 0.0)
    torch.manual_seed(0)
    return Predictor(networks.build("fcos_light", len(NAMES)), card(nms_iou=0.99, max_detections=1000), "cpu")


@pytest.fixture
def classifier() -> Predictor:
    torch.manual_seed(0)
    network = networks.build("resnet18", len(NAMES), image_size=32)
    return Predictor(network, card("visual-classifier", "resnet18", 32), "cpu")


def noise(number: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 255, (height, width, 3), dtype=np.uint8)


def same(some: list, others: list) -> bool:
    return [answer.rows() for answer in some] == [answer.rows() for answer in others]


def close(some: Regions, others: Regions) -> bool:
    """The same regions but for the last digits (and the order of equals)."""
    return len(some) == len(others) and all(
        np.abs(others.boxes - box).sum(1)[(others.labels == label) & (np.abs(others.scores - score) < 1e-4)].min()
        < 0.05
        for box, score, label in zip(some.boxes, some.scores, some.labels, strict=True)
    )


@pytest.mark.parametrize("kind", ["detector", "classifier"])
def test_loaded_it_answers_exactly_as_saved(tmp_path, request, kind):
    saved = request.getfixturevalue(kind)
    saved.save(tmp_path / "version")
    loaded = Predictor.load(tmp_path / "version", "cpu")
    pictures = [noise(1), noise(2, 40, 80), noise(3)]
    assert loaded.card == saved.card
    answers = saved.predict(pictures)
    assert len(answers[0]) > 1
    assert same(loaded.predict(pictures), answers)


def test_an_answer_does_not_depend_on_company_of_other_shapes(detector):
    pictures = [noise(1, 64, 20), noise(2, 20, 64), noise(3, 64, 64)]
    together = detector.predict(pictures)
    assert same(together, [detector.predict([picture])[0] for picture in pictures])
    assert same(detector.predict(pictures[::-1])[::-1], together)


def test_company_on_one_canvas_changes_last_digits_at_most(detector, classifier):
    pictures = [noise(1), noise(2, 64, 40), noise(3, 128, 80)]
    for alone, together in zip([detector.predict([p])[0] for p in pictures], detector.predict(pictures), strict=True):
        assert len(alone) > 3
        assert close(alone, together)
    for alone, together in zip(
        [classifier.predict([p])[0] for p in pictures], classifier.predict(pictures), strict=True
    ):
        assert np.allclose(alone.scores, together.scores, atol=1e-5)


def test_batch_size_does_not_matter(classifier):
    pictures = [noise(i) for i in range(5)]
    whole = classifier.predict(pictures)
    for alone, together in zip(classifier.predict(pictures, batch_size=2), whole, strict=True):
        assert np.allclose(alone.scores, together.scores, atol=1e-5)


@pytest.mark.parametrize(("width", "height"), [(128, 96), (32, 64), (64, 64), (641, 333)])
def test_boxes_come_back_in_the_pixels_of_the_picture_as_given(width, height):
    scale = 64 / max(width, height)
    there = np.array([0.25 * width, 0.125 * height, 0.5 * width, 0.75 * height])
    fitted = round(width * scale) / width, round(height * scale) / height
    answer = Predictor(Fixed(there * [*fitted, *fitted]), card(), "cpu").predict([noise(0, width, height)])[0]
    assert answer.boxes == pytest.approx(there[None], rel=1e-5)


def test_boxes_are_turned_with_the_picture_as_a_person_sees_it():
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(noise(0, 128, 64)).save(file, "JPEG", exif=exif)  # shown 64 wide and 128 high
    answer = Predictor(Fixed((0, 32, 32, 64)), card(), "cpu").predict([file.getvalue()])[0]
    assert answer.boxes.tolist() == [[0, 64, 64, 128]]


def test_boxes_are_cut_at_the_picture_and_those_in_the_padding_are_dropped():
    fixed = Fixed((-9, -9, 99, 99), (10, 33, 20, 60), (50, 20, 80, 70), scores=[0.9, 0.8, 0.7], labels=[0, 1, 2])
    answer = Predictor(fixed, card(), "cpu").predict([noise(0, 64, 32)])[0]  # on a canvas of 64 × 32
    assert answer.boxes.tolist() == [[0, 0, 64, 32], [50, 20, 64, 32]]
    assert answer.labels.tolist() == [0, 2]
    answer = Predictor(fixed, card(), "cpu").predict([noise(0, 64, 20)])[0]  # 12 rows of padding below
    assert answer.boxes.tolist() == [[0, 0, 64, 20]]


def test_no_box_is_an_empty_answer():
    answer = Predictor(Fixed(), card(), "cpu").predict([noise(0)])[0]
    assert (answer.boxes.shape, answer.concepts, answer.rows()) == ((0, 4), NAMES, [])


def test_the_network_is_asked_as_the_card_says():
    fixed = Fixed((0, 0, 9, 9))
    Predictor(fixed, card(nms_iou=0.3, max_detections=7), "cpu").predict([noise(0, 64, 20)] * 3)
    assert fixed.seen == [((3, 3, 32, 64), FLOOR, 0.3, 7)]


def test_answers_come_in_the_order_of_the_pictures():
    sizes = [(64, 20), (20, 64), (64, 20), (64, 64), (20, 64)]
    fixed = Predictor(Fixed((0, 0, 64, 64)), card(), "cpu")
    answers = fixed.predict([noise(i, *size) for i, size in enumerate(sizes)], batch_size=4)
    assert [tuple(answer.boxes[0, 2:]) for answer in answers] == sizes


@pytest.mark.parametrize(("exclusive", "total"), [(True, 1.0), (False, None)])
def test_scores_of_concepts(exclusive, total):
    asked = Predictor(Brightness(), card("visual-classifier", "resnet18", 32, exclusive=exclusive), "cpu")
    white, black = asked.predict([np.full((8, 8, 3), 255, np.uint8), np.zeros((8, 8, 3), np.uint8)])
    assert isinstance(white, Concepts)
    assert white.concepts == NAMES
    if total is not None:
        assert white.scores.sum() == pytest.approx(total)
    else:
        assert (white.scores > 0.8).all()
        assert (black.scores < 0.2).all()


def test_every_form_of_a_picture_is_the_same_picture(tmp_path, classifier):
    path = tmp_path / "photo.png"
    Image.fromarray(noise(0)).save(path)
    forms = [path, str(path), path.read_bytes(), noise(0), Image.open(path)]
    first, *others = (classifier.predict([form]) for form in forms)
    assert all(same(first, other) for other in others)


def test_no_picture_no_answer(detector):
    assert detector.predict([]) == []


def test_a_picture_that_cannot_be_decoded_is_named(tmp_path, classifier):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8rubbish")
    with pytest.raises(Fault, match=r"broken\.jpg: "):
        classifier.predict([noise(0), tmp_path / "broken.jpg"])
    with pytest.raises(Fault, match=r"^image 20: not an image"):
        classifier.predict([noise(0)] * 20 + [b"rubbish"])


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8)],
)
def test_an_array_of_another_kind_is_refused(pixels):
    with pytest.raises(Fault, match=r"image 3: an array must be \(H, W, 3\) uint8, got \("):
        read(pixels, "image 3")


def test_weights_of_another_network_are_refused(tmp_path, detector):
    detector.save(tmp_path)
    (tmp_path / "card.json").write_text(card("visual-classifier", "resnet18", 32).to_json())
    with pytest.raises(Fault, match=r"weights\.safetensors: not the weights of this card \(.*Missing key"):
        Predictor.load(tmp_path)


def test_weights_that_are_rubbish_are_refused(tmp_path, detector):
    detector.save(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"rubbish")
    with pytest.raises(Fault, match=r"not the weights of this card"):
        Predictor.load(tmp_path)


def test_a_card_without_weights_is_refused(tmp_path, detector):
    detector.save(tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(Fault, match=r"not the weights of this card"):
        Predictor.load(tmp_path)


def test_a_folder_without_a_card_is_refused(tmp_path):
    with pytest.raises(Fault, match=r"card\.json: not a model card"):
        Predictor.load(tmp_path)
