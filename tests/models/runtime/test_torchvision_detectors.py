"""torchvision's detectors answer, learn and are measured through our doors."""

from __future__ import annotations

import pytest
import torch
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList

from models.catalog import TEMPLATES
from models.detection_loss import detection_losses
from models.runtime.networks import build
from models.runtime.rows import carried_over
from models.runtime.torchvision_detectors import FAMILIES, TorchvisionDetector

# One of each design, small enough for a CPU: the others differ in their backbones.
SMALL = {
    "ssdlite320_mobilenet_v3_large": 320,
    "fasterrcnn_mobilenet_v3_large_320_fpn": 128,
    "retinanet_resnet50_fpn_v2": 64,
    "fcos_resnet50_fpn": 64,
}


@pytest.fixture(scope="module", params=SMALL)
def network(request) -> TorchvisionDetector:
    torch.manual_seed(0)
    return build(request.param, 3, image_size=SMALL[request.param])  # type: ignore[return-value]


def target(*rows: tuple[int, ...]) -> dict[str, torch.Tensor]:
    boxes = torch.tensor([row[:4] for row in rows], dtype=torch.float32).reshape(-1, 4)
    return {"boxes": boxes, "labels": torch.tensor([row[4] for row in rows], dtype=torch.int64)}


def test_it_learns_also_from_pictures_without_a_box(network):
    size = network.image_size
    images = torch.rand(2, 3, size, size // 2)
    targets = [target((4, 4, 28, 30, 2), (9, 9, 9, 20, 0)), target()]  # the second box has no area
    losses = detection_losses(network.train(), images, targets)
    assert {"concept", "box"} <= losses.keys()
    torch.stack(list(losses.values())).sum().backward()
    missing = [name for name, weight in network.named_parameters() if weight.grad is None]
    assert not missing
    assert all(torch.isfinite(weight.grad).all() for weight in network.parameters())
    network.zero_grad()
    empty = torch.stack(list(detection_losses(network, images, [target(), target()]).values())).sum()
    empty.backward()
    assert torch.isfinite(empty)


def test_losses_of_a_validation_leave_batch_norm_as_it_is(network):
    before = {name: tensor.clone() for name, tensor in network.eval().state_dict().items()}
    size = network.image_size
    with torch.inference_mode():
        losses = detection_losses(network, torch.rand(2, 3, size, size), [target((4, 4, 40, 40, 1)), target()])
    assert all(torch.isfinite(value) for value in losses.values())
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_answers_are_surest_first_in_our_labels(network):
    size = network.image_size
    with torch.inference_mode():
        found = network.eval().detect(torch.rand(2, 3, size // 2, size), 0.0, 0.6, 20)
        few = network.detect(torch.rand(1, 3, size, size), 0.0, 0.6, 3)
        ((boxes, scores, labels),) = network.detect(torch.rand(1, 3, size, size), 0.999, 0.6, 3)
    for each, sure, concepts in found:
        assert each.shape == (20, 4) and each.dtype == sure.dtype == torch.float32
        assert (sure.diff() <= 0).all() and sure.min() >= 0 and sure.max() <= 1
        assert concepts.dtype == torch.int64 and concepts.min() >= 0 and concepts.max() < 3
    assert len(few[0][0]) == 3
    assert boxes.shape == (0, 4) and scores.shape == labels.shape == (0,)


def test_boxes_that_overlap_are_suppressed_as_asked(network):
    images = torch.rand(1, 3, network.image_size, network.image_size)
    with torch.inference_mode():
        network.eval()
        many, few = (len(network.detect(images, 0.0, iou, 300)[0][0]) for iou in (0.99, 0.01))
    assert many > few > 0


def test_anchors_stay_exact_in_bfloat16(network):
    """torchvision gives anchors the dtype of the maps: halves of pixels are lost from 128 pixels on in bfloat16."""
    network.eval()
    maps = []
    hook = network.network.backbone.register_forward_hook(lambda *call: maps.extend(call[-1].values()))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        size = network.image_size
        network.network.backbone(torch.rand(1, 3, size, size))
    hook.remove()
    assert {features.dtype for features in maps} == {torch.float32}


def test_ssds_anchors_lie_evenly_at_any_size():
    with torch.device("meta"):
        network = build("ssd300_vgg16", 2, image_size=320)
    generator = network.network.anchor_generator
    assert isinstance(generator, DefaultBoxGenerator)
    maps = [torch.zeros(1, 1, side, side) for side in (40, 20, 10, 5, 3, 1)]
    anchors = generator(ImageList(torch.zeros(1, 3, 320, 320), [(320, 320)]), maps)[0]
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    assert len(anchors) == 40 * 40 * 4 + (20 * 20 + 10 * 10 + 5 * 5) * 6 + (9 + 1) * 4
    torch.testing.assert_close(centres[0], torch.tensor([4.0, 4.0]))
    torch.testing.assert_close(centres[-1], torch.tensor([160.0, 160.0]))
    torch.testing.assert_close(centres.mean(0), torch.tensor([160.0, 160.0]))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_weight_but_the_heads_fits_another_number_of_concepts(name):
    """Which tensors hang on the concepts is what `concept_rows` says: neither more nor less."""
    with torch.device("meta"):
        some, more = build(name, 2, image_size=320), build(name, 5, image_size=320)
    shapes = {key: tensor.shape for key, tensor in some.state_dict().items()}
    other = {key for key, tensor in more.state_dict().items() if tensor.shape != shapes[key]}
    assert other == some.concept_rows.keys() == more.concept_rows.keys()
    assert TEMPLATES[name].type == "visual-detector"


def test_a_concept_keeps_its_anchors_rows(network):
    """Learned as the second concept of three, it answers the same as the first of two, in either kind of head."""
    torch.manual_seed(1)
    fresh = build(network.name, 2, image_size=network.image_size).eval()
    taken = carried_over(fresh.state_dict(), ("b", "new"), network.state_dict(), ("a", "b", "c"), fresh.concept_rows)
    fresh.load_state_dict(taken, strict=False)
    images = torch.rand(1, 3, network.image_size, network.image_size)
    first = int(network.family.background)
    with torch.inference_mode():
        features = list(network.eval().network.backbone(images).values())
        if network.name.startswith("faster"):
            vectors = torch.rand(4, 1024)
            had, has = network.network.roi_heads.box_predictor(vectors), fresh.network.roi_heads.box_predictor(vectors)
            torch.testing.assert_close(has[0][:, first], had[0][:, first + 1])
            torch.testing.assert_close(has[1][:, 4:8], had[1][:, 8:12])
        else:
            had, has = network.network.head(features), fresh.network.head(features)
            torch.testing.assert_close(has["cls_logits"][..., first], had["cls_logits"][..., first + 1])
