"""Every classification network of torchvision's can be named: it gives vectors, and logits of them."""

from __future__ import annotations

import re
import warnings

import pytest
import torch
from torch import nn
from torchvision.models import regnet

from models.catalog import template
from models.runtime import networks
from models.runtime.classifiers import at_size
from models.runtime.networks import build, normalisation
from models.torchvision_names import SIZES, TORCHVISION


def smallest(name: str) -> int:
    return SIZES[name][0] if name in SIZES else 32


def weightless(name: str, size: int) -> nn.Module:
    """The network without memory for its weights (regnet_y_128gf has 644 million)."""
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("error")  # what a library says at construction is no user's business
        return build(name, 3, image_size=size).eval()


@pytest.fixture(autouse=True)
def regnets_count_on_the_cpu(monkeypatch):
    """torchvision works out a RegNet's widths with tensors, which have no values where its weights have none."""
    counted = regnet.BlockParams.from_init_params.__func__  # type: ignore[attr-defined]

    def on_the_cpu(cls, *args, **kwargs):
        with torch.device("cpu"):
            return counted(cls, *args, **kwargs)

    monkeypatch.setattr(regnet.BlockParams, "from_init_params", classmethod(on_the_cpu))


@pytest.fixture
def undrawn(monkeypatch):
    """Nothing is drawn for weights without memory: that alone would take most of the time here."""
    for name in [name for name in vars(nn.init) if name.endswith("_") and not name.startswith("_")]:
        monkeypatch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)


@pytest.mark.parametrize("name", TORCHVISION)
def test_every_network_gives_vectors_and_logits_at_its_smallest_size(name, undrawn):
    size = smallest(name)
    network = weightless(name, size)
    with torch.inference_mode():
        vectors = network.embed(torch.empty(2, 3, size, size, device="meta"))
        assert vectors.shape == (2, network.head.in_features)
        assert network.head(vectors).shape == (2, 3)
    assert template(name).limits == ({"image_size": SIZES[name]} if name in SIZES else {})


@pytest.mark.parametrize("name", SIZES)
def test_a_size_below_its_limits_is_one_that_it_cannot_take(name, undrawn):
    size = SIZES[name][0] - 32
    with torch.inference_mode(), pytest.raises((RuntimeError, AssertionError, ValueError)):
        weightless(name, size)(torch.empty(2, 3, size, size, device="meta"))


@pytest.mark.parametrize(("name", "size"), [("maxvit_t", 448), ("vit_h_14", 448), ("vit_b_16", 64), ("swin_t", 96)])
def test_sizes_beyond_the_usual_one(name, size, undrawn):
    network = weightless(name, size)
    with torch.inference_mode():
        assert network(torch.empty(1, 3, size, size, device="meta")).shape == (1, 3)


def test_a_forward_is_the_head_on_the_vectors():
    network = build("squeezenet1_1", 4, image_size=32).eval()
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(network(images), network.head(network.embed(images)))
        assert network.embed(images).shape == (2, 512)


def pretend(monkeypatch, name: str) -> dict[str, torch.Tensor]:
    """Let torchvision's server have weights of a network that nobody else has."""
    torch.manual_seed(5)
    theirs, entry = networks.models.get_model(name, weights=None), networks.models.get_model_weights(name).DEFAULT
    state = {name: torch.rand_like(tensor.float()).to(tensor.dtype) for name, tensor in theirs.state_dict().items()}
    monkeypatch.setattr(type(entry), "get_state_dict", lambda *_, **__: dict(state))
    return state


@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_pretrained_weights_are_copied_into_all_but_the_head(monkeypatch, name):
    state = pretend(monkeypatch, name)
    network = build(name, 1000, "pretrained", image_size=64)
    for own, tensor in network.state_dict().items():
        if own.startswith("head."):
            assert not any(tensor.shape == other.shape and torch.equal(tensor, other) for other in state.values())
        else:
            assert torch.equal(tensor, state[own.removeprefix("backbone.")]), own


def test_weights_of_an_older_file_are_taken_under_todays_names(monkeypatch):
    """`denselayer1.norm.1.weight`, as torchvision's files of DenseNet call what its network calls `norm1`."""
    state = pretend(monkeypatch, "densenet121")
    state = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    older = {re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", name): state[name] for name in state}
    assert older.keys() != state.keys()
    entry = type(networks.models.get_model_weights("densenet121").DEFAULT)
    monkeypatch.setattr(entry, "get_state_dict", lambda *_, **__: dict(older))
    network = build("densenet121", 2, "pretrained", image_size=64).state_dict()
    assert all(
        torch.equal(network[f"backbone.{own}"], state[own]) for own in state if not own.startswith("classifier.")
    )


def test_a_mnasnet_takes_weights_that_say_nothing_of_their_version():
    network = build("mnasnet0_5", 2, image_size=64)
    network.load_state_dict(dict(network.state_dict()))


def test_a_vision_transformers_places_are_interpolated_to_another_size():
    codes = torch.arange(197 * 4, dtype=torch.float32).reshape(1, 197, 4)
    state = {"conv_proj.weight": torch.zeros(4, 3, 16, 16), "encoder.pos_embedding": codes}
    moved = at_size("vit_b_16", state, 112)["encoder.pos_embedding"]
    assert moved.shape == (1, 7 * 7 + 1, 4)
    assert torch.equal(moved[:, 0], codes[:, 0])
    torch.testing.assert_close(moved[:, [1, -1]], codes[:, [1, -1]])  # the corners stay where they were
    assert torch.equal(at_size("vit_b_16", state, 224)["encoder.pos_embedding"], codes)
    assert state["encoder.pos_embedding"] is codes


def test_pictures_are_normalised_as_the_weights_want_them():
    assert normalisation("inception_v3") == normalisation("googlenet") == ((0.5,) * 3, (0.5,) * 3)
    assert normalisation("resnet50")[0] == (0.485, 0.456, 0.406)
