"""Cells answer for the boxes they see, empty pictures cost nothing but their false alarms, and a step teaches."""

import pytest
import torch

from models.detection_loss import assign, detection_losses, overlap
from models.runtime.light import Raw
from models.runtime.networks import build

TEMPLATES = ["fcos_light", "ssdlite320_mobilenet_v3_large"]


def target(*rows):
    boxes = torch.tensor([row[:4] for row in rows], dtype=torch.float32).reshape(-1, 4)
    return {"boxes": boxes, "labels": torch.tensor([int(row[4]) for row in rows], dtype=torch.int64)}


def raw(boxes, points, concepts=2):
    """One image whose cells draw the given boxes, all equally sure."""
    boxes, points = torch.tensor([boxes], dtype=torch.float32), torch.tensor(points, dtype=torch.float32)
    distances = torch.cat([points - boxes[..., :2], boxes[..., 2:] - points], -1)
    count = len(points)
    return Raw(torch.zeros(1, count), torch.zeros(1, count, concepts), distances / 8, points, torch.full((count,), 8.0))


def assigned(said, *rows):
    one = target(*rows)
    boxes, labels = one["boxes"][None], one["labels"][None]
    return assign(said, boxes, labels, torch.ones_like(labels, dtype=torch.bool))


def test_overlap_of_known_boxes():
    some = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]])
    others = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 0, 30, 10]])
    torch.testing.assert_close(overlap(some, others), torch.tensor([1.0, 1 / 3, 0.0]))
    torch.testing.assert_close(overlap(some, others, generalised=True), torch.tensor([1.0, 1 / 3, -(300 - 200) / 300]))


def test_the_cell_that_draws_a_box_best_answers_for_it():
    said = raw([(0, 0, 40, 40), (0, 0, 40, 20), (100, 100, 120, 120)], [(20, 20), (20, 10), (110, 110)])
    given = assigned(said, (0, 0, 40, 40, 1))
    assert given.answers.tolist() == [[True, True, False]]
    assert given.labels[0, 0] == 1
    assert given.scores[0, 0] == pytest.approx(1.0)
    assert given.scores[0, 1] < 0.2 and given.scores[0, 2] == 0
    assert given.boxes[0, 0].tolist() == [0, 0, 40, 40]


def test_a_cell_outside_a_box_does_not_answer_for_it():
    said = raw([(0, 0, 40, 40)], [(60, 20)])
    assert not assigned(said, (0, 0, 40, 40, 0)).answers.any()


def test_a_box_between_all_centres_still_has_a_cell():
    said = raw([(13, 13, 15, 15), (20, 20, 22, 22)], [(12, 12), (20, 20)])
    assert assigned(said, (13, 13, 15, 15, 0)).answers.tolist() == [[True, False]]


def test_a_cell_in_two_boxes_answers_for_the_one_it_draws():
    said = raw([(0, 0, 40, 40), (10, 10, 30, 30)], [(20, 20), (20, 20)])
    given = assigned(said, (0, 0, 40, 40, 0), (10, 10, 30, 30, 1))
    assert given.labels.tolist() == [[0, 1]]
    assert given.boxes[0].tolist() == [[0, 0, 40, 40], [10, 10, 30, 30]]


def test_padding_is_never_answered_for():
    said = raw([(0, 0, 8, 8)], [(2, 2)])
    given = assign(
        said, torch.zeros(1, 1, 4), torch.zeros(1, 1, dtype=torch.int64), torch.zeros(1, 1, dtype=torch.bool)
    )
    assert not given.answers.any() and given.scores.sum() == 0


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("rows", [[(10, 10, 50, 60, 2)], []])
def test_losses_and_gradients_are_finite(template, rows):
    torch.manual_seed(0)
    network = build(template, 3).train()
    losses = detection_losses(network, torch.rand(2, 3, 320, 320), [target(*rows), target()])
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    assert torch.isfinite(total) and (total > 0 or not rows)
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_the_light_detector_learns_one_picture():
    torch.manual_seed(0)
    network = build("fcos_light", 2).train()
    images = torch.full((2, 3, 64, 64), -1.0)
    images[0, :, 8:40, 8:40], images[1, :1, 24:56, 16:56] = 1.0, 1.0
    targets = [target((8, 8, 40, 40, 0)), target((16, 24, 56, 56, 1))]
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    for _ in range(60):
        optimizer.zero_grad()
        torch.stack(list(detection_losses(network, images, targets).values())).sum().backward()
        optimizer.step()
    with torch.inference_mode():
        found = network.detect(images)  # still in training mode: two pictures are no statistics to keep
    for (boxes, scores, labels), wanted in zip(found, targets, strict=True):
        assert labels[0] == wanted["labels"][0] and scores[0] > 0.5
        assert overlap(boxes[0], wanted["boxes"][0]) > 0.7


def test_the_same_seed_learns_the_same_bit_for_bit():
    def weights():
        torch.manual_seed(5)
        network = build("fcos_light", 2).train()
        optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
        for _ in range(2):
            losses = detection_losses(network, torch.rand(2, 3, 64, 96), [target((8, 8, 40, 40, 0)), target()])
            optimizer.zero_grad()
            torch.stack(list(losses.values())).sum().backward()
            optimizer.step()
        return network.state_dict()

    first, second = weights(), weights()
    assert all(torch.equal(first[name], second[name]) for name in first)
