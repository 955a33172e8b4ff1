"""A training starts from nothing, from a library's weights, from what fits of a file, or from a version's concepts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models.parameters import ClassifierParameters, DetectorParameters, NetworkParameters
from models.runtime import networks
from models.runtime.card import Card
from models.runtime.faults import Fault
from models.start import network_for, options_for

FIVE = ("a", "b", "c", "d", "e")


def given(weights: str = "none", **more) -> ClassifierParameters:
    return ClassifierParameters(template="resnet_light", image_size=32, weights=weights, **more)


def weights_of(network) -> dict[str, torch.Tensor]:
    return {name: tensor.contiguous() for name, tensor in network.state_dict().items()}


@pytest.fixture
def stored(tmp_path) -> Path:
    """The weights of a classifier of five concepts."""
    path = tmp_path / "start.safetensors"
    save_file(weights_of(network_for(given(seed=1), FIVE)), path)
    return path


def version(folder: Path, parameters: NetworkParameters, concepts: tuple[str, ...], **card) -> Path:
    """A registered version's folder, with the weights that its training would have started from."""
    save_file(weights_of(network_for(parameters, concepts)), folder / "weights.safetensors")
    row = Card(parameters.type, parameters.template, concepts, parameters.image_size, (0.5,) * 3, (0.5,) * 3)
    (folder / "card.json").write_text(row.with_(**card).to_json())
    return folder


def test_what_is_drawn_depends_on_the_seed_alone():
    first = weights_of(network_for(given(seed=3), ("a", "b")))
    torch.rand(17)
    again = weights_of(network_for(given(seed=3), ("a", "b")))
    other = weights_of(network_for(given(seed=4), ("a", "b")))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_of_a_file_all_that_fits_is_taken(stored):
    taken, fresh = (weights_of(network_for(given(weights), ("x", "y"))) for weights in (str(stored), "none"))
    source = weights_of(network_for(given(seed=1), FIVE))
    for name, tensor in taken.items():
        expected = fresh if name.startswith("head.") else source  # the last layer is for other concepts
        assert torch.equal(tensor, expected[name]), name


def test_of_a_file_with_the_same_concepts_everything_is_taken(stored):
    source = network_for(given(seed=1), FIVE)
    assert torch.equal(network_for(given(str(stored)), FIVE).head.weight, source.head.weight)


def test_a_file_of_another_template(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"trunk.weight": torch.zeros(3)}, path)
    with pytest.raises(Fault, match=r"weights: nothing in .*other\.safetensors fits resnet_light\."):
        network_for(given(str(path)), FIVE)


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\xff" * 64])
def test_a_file_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(Fault, match=r"weights: .*broken\.safetensors cannot be read as safetensors \("):
        network_for(given(str(path)), FIVE)


def test_no_such_file(tmp_path):
    with pytest.raises(Fault, match=r"cannot be read as safetensors"):
        network_for(given(str(tmp_path / "none.safetensors")), FIVE)


def test_a_version_without_its_folder():
    with pytest.raises(Fault, match=r"weights: roofs/3 is neither a \.safetensors file nor the folder of a version"):
        network_for(given("roofs/3"), FIVE)


def test_pretrained_weights_are_torchvisions_but_for_the_last_layer(monkeypatch):
    torch.manual_seed(9)
    theirs = {f"backbone.{name}": x for name, x in networks.models.resnet18(weights=None).state_dict().items()}
    monkeypatch.setattr(networks, "_fetch", lambda template, image_size: theirs)
    parameters = ClassifierParameters(template="resnet18", image_size=128, weights="pretrained")
    network = network_for(parameters, ("a", "b", "c"))
    assert torch.equal(network.backbone.conv1.weight, theirs["backbone.conv1.weight"])
    assert network.head.weight.shape == (3, 512)


def test_of_a_version_a_concept_keeps_its_row_by_name_and_new_ones_are_added(tmp_path):
    start = version(tmp_path, given(seed=1), ("hail", "wind", "moss"))
    known = network_for(given(seed=1), ("hail", "wind", "moss"))
    fresh = network_for(given("roofs/1", seed=2), ("wind", "algae", "hail"), start=start)
    drawn = network_for(given(seed=2), ("wind", "algae", "hail"))
    assert torch.equal(fresh.head.weight[[0, 2]], known.head.weight[[1, 0]])
    assert torch.equal(fresh.head.bias[[0, 2]], known.head.bias[[1, 0]])
    assert torch.equal(fresh.head.weight[1], drawn.head.weight[1])
    own, source = weights_of(fresh), weights_of(known)
    assert all(torch.equal(own[name], source[name]) for name in source if not name.startswith("head."))


def test_a_version_that_is_learned_further_answers_at_first_as_before(tmp_path):
    parameters = DetectorParameters(template="fcos_light", image_size=64, seed=1)
    start = version(tmp_path, parameters, ("a", "b"))
    before = network_for(parameters, ("a", "b")).eval()
    after = network_for(parameters.model_copy(update={"weights": "roofs/1"}), ("b", "new", "a"), start=start).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        had, has = before(images), after(images)
    torch.testing.assert_close(has.logits[..., [2, 0]], had.logits)
    torch.testing.assert_close(has.distances, had.distances)


def test_a_version_of_another_template(tmp_path):
    start = version(tmp_path, given(), FIVE)
    other = ClassifierParameters(template="resnet18", image_size=32, weights="roofs/1")
    with pytest.raises(Fault, match=r"weights: roofs/1 is a resnet_light, and resnet18 is to be trained\."):
        network_for(other, FIVE, start=start)


@pytest.mark.parametrize(("template", "part"), [("resnet18", "conv1"), ("vit_b_16", "pos_embedding")])
def test_a_version_of_another_image_size_whose_backbone_does_not_fit(tmp_path, template, part):
    start = version(tmp_path, ClassifierParameters(template=template, image_size=64), FIVE)
    larger = ClassifierParameters(template=template, image_size=224, weights="roofs/1")
    wanted = rf"weights: roofs/1, trained at 64 pixels, has a backbone\.\S*{part}\S* of \(.*\), and {template} at 224 "
    with pytest.raises(Fault, match=wanted):
        network_for(larger, FIVE, start=start)
    of_a_file = larger.model_copy(update={"weights": str(start / "weights.safetensors")})
    with pytest.raises(Fault, match=rf"weights: .*weights\.safetensors has a backbone\.\S*{part}\S* of \(.*224 pixels"):
        network_for(of_a_file, FIVE)


def test_a_version_of_another_image_size_that_fits(tmp_path):
    start = version(tmp_path, ClassifierParameters(template="resnet18", image_size=128, seed=1), FIVE)
    larger = ClassifierParameters(template="resnet18", image_size=224, weights="roofs/1")
    known = network_for(ClassifierParameters(template="resnet18", image_size=128, seed=1), FIVE)
    assert torch.equal(network_for(larger, FIVE, start=start).backbone.conv1.weight, known.backbone.conv1.weight)


def test_a_version_that_is_broken(tmp_path):
    start = version(tmp_path, given(), FIVE)
    (start / "weights.safetensors").write_bytes(b"rubbish")
    with pytest.raises(Fault, match=r"weights: .*weights\.safetensors cannot be read as safetensors"):
        network_for(given("roofs/1"), FIVE, start=start)


def test_a_version_hands_on_what_its_network_was_built_with(tmp_path):
    start = version(tmp_path, given(), FIVE, network={"anchors": [[[1, 2]]]})
    assert options_for(given("roofs/1"), start) == {"anchors": [[[1, 2]]]}
    assert options_for(given()) == {}
