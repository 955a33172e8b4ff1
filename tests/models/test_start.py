"""A training starts from nothing, from torchvision's weights or from what fits of a file."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models.parameters import ClassifierParameters
from models.runtime import networks
from models.runtime.faults import Fault
from models.start import network_for


def given(weights: str = "none", **more) -> ClassifierParameters:
    return ClassifierParameters(image_size=32, weights=weights, **more)


def weights_of(network) -> dict[str, torch.Tensor]:
    return {name: tensor.contiguous() for name, tensor in network.state_dict().items()}


@pytest.fixture
def stored(tmp_path) -> Path:
    """The weights of a classifier of five concepts."""
    path = tmp_path / "start.safetensors"
    save_file(weights_of(network_for(given(seed=1), 5)), path)
    return path


def test_what_is_drawn_depends_on_the_seed_alone():
    first = weights_of(network_for(given(seed=3), 2))
    torch.rand(17)
    again, other = weights_of(network_for(given(seed=3), 2)), weights_of(network_for(given(seed=4), 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["fc.weight"], other["fc.weight"])


def test_of_a_file_all_that_fits_is_taken(stored):
    taken, fresh = weights_of(network_for(given(str(stored)), 3)), weights_of(network_for(given(), 3))
    source = weights_of(network_for(given(seed=1), 5))
    for name, tensor in taken.items():
        expected = fresh if name.startswith("fc.") else source  # the last layer is for other concepts
        assert torch.equal(tensor, expected[name]), name


def test_of_a_file_with_the_same_concepts_everything_is_taken(stored):
    assert torch.equal(network_for(given(str(stored)), 5).fc.weight, network_for(given(seed=1), 5).fc.weight)


def test_a_file_of_another_template(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"backbone.weight": torch.zeros(3)}, path)
    with pytest.raises(Fault, match=r"weights: nothing in .*other\.safetensors fits resnet18\."):
        network_for(given(str(path)), 3)


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\xff" * 64])
def test_a_file_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(Fault, match=r"weights: .*broken\.safetensors cannot be read as safetensors \("):
        network_for(given(str(path)), 3)


def test_no_such_file_and_a_folder(tmp_path):
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(Fault, match=r"cannot be read as safetensors"):
            network_for(given(str(path)), 3)


def test_pretrained_weights_are_torchvisions_but_for_the_last_layer(monkeypatch):
    torch.manual_seed(9)
    theirs = networks.models.resnet18(weights=None).state_dict()
    monkeypatch.setattr(networks, "_fetch", lambda template: theirs)
    network = network_for(ClassifierParameters(image_size=128, weights="pretrained"), 3)
    assert torch.equal(network.conv1.weight, theirs["conv1.weight"])
    assert network.fc.weight.shape == (3, 512)
