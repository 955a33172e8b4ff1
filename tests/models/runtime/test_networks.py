"""Every network answers in its shape, starts from pretrained weights where it can, and says so where it cannot."""

from urllib.error import URLError

import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.models import ResNet18_Weights
from torchvision.models.detection import SSDLite320_MobileNet_V3_Large_Weights

from models.catalog import names
from models.runtime.boxes import from_distances, surest
from models.runtime.faults import Fault
from models.runtime.networks import BUILDERS, OTHER, SAME, build

# The rest of the detectors, with heavier backbones, are told about beside their room.
DETECTORS = ["fcos_light", "ssdlite320_mobilenet_v3_large"]


def test_every_template_of_a_network_has_one():
    known = {*BUILDERS, *SAME, *models.list_models(module=models)}
    assert {*names("visual-classifier"), *names("visual-detector")} <= known
    assert set(OTHER) <= known and set(SAME.values()) <= known


@pytest.mark.parametrize("side", [32, 64, 128])
def test_classifier_gives_a_logit_a_concept(side):
    network = build("resnet18", 7, image_size=side).eval()
    with torch.inference_mode():
        assert network(torch.rand(2, 3, side, side)).shape == (2, 7)


def test_small_pictures_are_not_shrunk_to_nothing():
    network = build("resnet18", 7, image_size=64).eval()
    seen = []
    network.backbone.layer4.register_forward_hook(lambda *call: seen.append(call[-1].shape[-1]))
    with torch.inference_mode():
        network(torch.rand(1, 3, 64, 64))
    assert seen == [4]


@pytest.mark.parametrize("template", DETECTORS)
@pytest.mark.parametrize("size", [(320, 320), (256, 320), (320, 192)])
def test_detector_answers_surest_first(template, size):
    torch.manual_seed(0)
    network = build(template, 3).eval()
    with torch.inference_mode():
        found = network.detect(torch.rand(2, 3, *size), score_threshold=0.0, max_detections=20)
    assert len(found) == 2
    for boxes, scores, labels in found:
        assert boxes.shape == (20, 4) and boxes.dtype == torch.float32
        assert scores.shape == (20,) and scores.dtype == torch.float32
        assert labels.dtype == torch.int64 and labels.min() >= 0 and labels.max() < 3
        assert (scores.diff() <= 0).all() and scores.min() >= 0 and scores.max() <= 1


@pytest.mark.parametrize("template", DETECTORS)
def test_detector_answers_nothing_in_the_same_shapes(template):
    network = build(template, 3).eval()
    with torch.inference_mode():
        ((boxes, scores, labels),) = network.detect(torch.rand(1, 3, 320, 320), score_threshold=0.999)
    assert boxes.shape == (0, 4) and scores.shape == (0,) and labels.shape == (0,)


def test_a_batch_answers_as_its_pictures_do_alone():
    torch.manual_seed(0)
    network = build("fcos_light", 3).eval()
    images = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        together, alone = network(images), network(images[1:])
    torch.testing.assert_close(together.boxes[1:], alone.boxes)
    torch.testing.assert_close(together.scores[1:], alone.scores)


def test_boxes_lie_around_their_points():
    boxes = from_distances(torch.tensor([[10.0, 20.0]]), torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    assert boxes.tolist() == [[9, 18, 13, 24]]


def test_suppression_is_within_a_concept():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60]])
    scores = torch.tensor([[0.9, 0.3], [0.8, 0.0], [0.1, 0.7]])
    near, sure, labels = surest(boxes, scores, 0.2, 0.5, 10)
    assert labels.tolist() == [0, 1, 1]
    torch.testing.assert_close(sure, torch.tensor([0.9, 0.7, 0.3]))
    assert near.tolist() == [[0, 0, 10, 10], [50, 50, 60, 60], [0, 0, 10, 10]]
    assert len(surest(boxes, scores, 0.2, 0.5, 1)[0]) == 1


def test_an_unknown_network():
    with pytest.raises(Fault, match=r"no network 'resnet19'.*Did you mean 'resnet18'"):
        build("resnet19", 2)


def test_weights_are_none_or_pretrained():
    with pytest.raises(Fault, match=r"weights: .*'none' or 'pretrained', got 'imagenet'"):
        build("resnet18", 2, "imagenet")


def test_a_template_without_pretrained_weights_says_which_have_some():
    with pytest.raises(Fault, match=r"fcos_light has no pretrained weights \(these have: all of torchvision's"):
        build("fcos_light", 2, "pretrained")


def test_weights_out_of_reach(monkeypatch):
    def unreachable(*args, **kwargs):
        raise URLError("no route")

    monkeypatch.setattr(ResNet18_Weights, "get_state_dict", unreachable)
    with pytest.raises(Fault, match=r"cannot be fetched from https://.*no route.*Use 'none'.*\.safetensors"):
        build("resnet18", 2, "pretrained")


def test_pretrained_weights_start_all_but_the_last_layer(monkeypatch):
    torch.manual_seed(1)
    given = models.resnet18(weights=None).state_dict()
    monkeypatch.setattr(ResNet18_Weights, "get_state_dict", lambda *args, **kwargs: given)
    network = build("resnet18", 2, "pretrained", image_size=224)
    own = network.state_dict()
    assert all(torch.equal(own[f"backbone.{name}"], tensor) for name, tensor in given.items() if name[:3] != "fc.")
    assert isinstance(network.head, nn.Linear) and network.head.out_features == 2


def test_a_stem_of_our_own_has_no_pretrained_weights():
    with pytest.raises(Fault, match=r"at 64 pixels a resnet18 has a stem of its own.*Set an image_size above 64"):
        build("resnet18", 2, "pretrained", image_size=64)


def test_pretrained_weights_never_start_a_detectors_head(monkeypatch):
    """Not even with as many concepts as COCO has numbers for: they are other concepts."""
    theirs = build("ssdlite320_mobilenet_v3_large", 90).network.state_dict()
    entry = SSDLite320_MobileNet_V3_Large_Weights
    monkeypatch.setattr(entry, "get_state_dict", lambda *args, **kwargs: theirs)
    network = build("ssdlite320_mobilenet_v3_large", 90, "pretrained")
    rows = network.concept_rows
    for name, tensor in network.state_dict().items():
        same = torch.equal(tensor, theirs[name.removeprefix("network.")])
        assert same or name in rows, name
        assert not (same and name in rows and tensor.ndim > 1), name
