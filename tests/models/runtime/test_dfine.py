"""D-FINE learns and answers through our doors, and says what is missing where its library or its weights are."""

from __future__ import annotations

import sys

import pytest
import torch
from safetensors.torch import save

from models.detection_loss import detection_losses
from models.runtime import dfine
from models.runtime.faults import Fault
from models.runtime.networks import build
from models.runtime.rows import carried_over
from models.stages import stages

TINY = {
    "backbone": {
        "stem_channels": [3, 8, 8],
        "stage_in_channels": [8, 16, 16, 16],
        "stage_mid_channels": [8, 8, 8, 8],
        "stage_out_channels": [16, 16, 16, 16],
        "stage_numb_of_layers": [1, 1, 1, 1],
        "hidden_sizes": [16, 16, 16, 16],
    },
    "encoder_in_channels": [16, 16, 16],
    "encoder_hidden_dim": 32,
    "encoder_ffn_dim": 32,
    "decoder_in_channels": [32, 32, 32],
    "decoder_ffn_dim": 32,
    "d_model": 32,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "decoder_layers": 2,
    "num_queries": 30,
    "num_denoising": 10,
}


@pytest.fixture(scope="module")
def network():
    pytest.importorskip("transformers", reason="the extra [transformers] is not installed")
    torch.manual_seed(0)
    return build("dfine_small", 3, image_size=64, options=TINY)


def target(*rows: tuple[int, ...]) -> dict[str, torch.Tensor]:
    boxes = torch.tensor([row[:4] for row in rows], dtype=torch.float32).reshape(-1, 4)
    return {"boxes": boxes, "labels": torch.tensor([row[4] for row in rows], dtype=torch.int64)}


@pytest.mark.parametrize("rows", [[(4, 4, 28, 30, 2), (30, 2, 60, 20, 0)], []])
def test_losses_and_gradients_are_finite(network, rows):
    network.train().zero_grad()
    losses = detection_losses(network, torch.rand(2, 3, 64, 64), [target(*rows), target()])
    assert losses.keys() == {"concept", "box", "overlap", "sides", "distilled"}
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    assert torch.isfinite(total)
    assert all(torch.isfinite(weight.grad).all() for weight in network.parameters() if weight.grad is not None)


def test_one_picture_can_be_learned():
    pytest.importorskip("transformers", reason="the extra [transformers] is not installed")
    torch.manual_seed(0)
    network = build("dfine_small", 2, image_size=64, options=TINY).train()
    images = torch.zeros(2, 3, 64, 64)
    images[0, :, 8:40, 8:40] = images[1, 0, 24:56, 16:56] = 1.0
    targets = [target((8, 8, 40, 40, 0)), target((16, 24, 56, 56, 1))]
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    first = last = 0.0
    for _ in range(40):
        total = torch.stack(list(network.losses(images, targets).values())).sum()
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        first, last = first or total.item(), total.item()
    assert last < 0.7 * first
    with torch.inference_mode():
        found = network.detect(images, 0.0)
    assert [int(labels[0]) for _, _, labels in found] == [0, 1]


def test_answers_are_surest_first_and_no_more_than_asked(network):
    with torch.inference_mode():
        found = network.eval().detect(torch.rand(2, 3, 64, 96), 0.0, max_detections=7)
        ((boxes, scores, labels),) = network.detect(torch.rand(1, 3, 64, 64), 0.9999)
    for each, sure, concepts in found:
        assert each.shape == (7, 4) and each.dtype == sure.dtype == torch.float32
        assert (sure.diff() <= 0).all() and sure.min() >= 0 and sure.max() <= 1
        assert concepts.dtype == torch.int64 and concepts.max() < 3
        assert each[:, 0::2].max() > 64 or each.max() <= 96  # pixels, not shares
    assert boxes.shape == (0, 4) and scores.shape == labels.shape == (0,)


@pytest.mark.parametrize("size", [(32, 32), (32, 96), (96, 32)])
def test_pictures_with_fewer_cells_than_queries(network, size):
    with torch.inference_mode():
        assert len(network.eval().detect(torch.rand(1, 3, *size), 0.0)) == 1


def test_its_weights_can_be_stored_and_its_heads_carried_over(network):
    state = network.state_dict()
    assert save(state)  # no tensor lies under two names
    other = build("dfine_small", 5, image_size=64, options=TINY)
    differing = {name for name, tensor in other.state_dict().items() if tensor.shape != state[name].shape}
    assert differing == network.concept_rows.keys()
    taken = carried_over(other.state_dict(), ("x", "c", "y", "z", "a"), state, ("a", "b", "c"), other.concept_rows)
    rows = taken["network.model.denoising_class_embed.weight"]
    had = state["network.model.denoising_class_embed.weight"]
    assert torch.equal(rows[1], had[2]) and torch.equal(rows[4], had[0]) and torch.equal(rows[5], had[3])


def test_its_backbone_has_stages(network):
    found = stages(network)
    assert len(found) == 5 + 1
    assert all(".backbone." in name for stage in found[:-1] for name in stage)
    assert not [name for name in found[-1] if ".backbone." in name]


def test_its_library_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(Fault, match=r"dfine_small needs the library transformers, .*pip install 'transformers>=5\.24"):
        build("dfine_small", 2)


def test_its_pretrained_weights_are_out_of_reach(monkeypatch):
    library = pytest.importorskip("transformers", reason="the extra [transformers] is not installed")

    def unreachable(*args, **kwargs):
        raise OSError("We couldn't connect\nto the hub")

    monkeypatch.setattr(library.DFineForObjectDetection, "from_pretrained", unreachable)
    with pytest.raises(Fault, match=rf"cannot be fetched from the hub, where they are {dfine.HUB} \(We couldn't"):
        dfine.fetched()


def test_pretrained_weights_are_copied_into_all_but_the_heads(monkeypatch, network):
    theirs = {name: torch.full_like(tensor, 2) for name, tensor in network.state_dict().items()}
    monkeypatch.setattr(dfine, "fetched", lambda: theirs)
    started = build("dfine_small", 3, "pretrained", image_size=64, options=TINY)
    for name, tensor in started.state_dict().items():
        assert torch.equal(tensor, theirs[name]) == (name not in network.concept_rows), name
