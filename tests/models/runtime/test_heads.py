"""Heads on embedders: lengths, votes, distances, and a whole network built again from its card."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from models.runtime import networks
from models.runtime.card import Card
from models.runtime.classifiers import at_places, finest_grid
from models.runtime.heads import RARE, TEMPERATURE, Centres, Neighbours
from models.runtime.predictor import Predictor

LIGHT = {"backbone": "resnet_light", "embedding_size": 8}


@pytest.mark.parametrize(("template", "size", "wide"), [("angular_margin", 8, 8), ("as_is", 0, None)])
def test_an_embedders_vectors_have_length_one(template, size, wide):
    options = LIGHT | {"embedding_size": size}
    network = networks.build(template, 2, image_size=32, options=options).eval()
    vectors = network(torch.randn(3, 3, 32, 32))
    assert vectors.dtype == torch.float32
    assert vectors.shape == (3, wide or networks.build("resnet_light", 2, image_size=32).head.in_features)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(3), atol=1e-5)


def test_mirrored_a_picture_and_its_mirror_image_are_one():
    inside = {"template": "resnet_light", "concepts": 2}
    torch.manual_seed(0)
    network = networks.build(
        "linear", 2, image_size=32, options={"size": 192, "mirrored": True, "embedder": inside}
    ).eval()
    pictures = torch.randn(2, 3, 32, 32)
    assert torch.allclose(network(pictures), network(pictures.flip(-1)), atol=1e-6)
    both = (network.embedder.embed(pictures) + network.embedder.embed(pictures.flip(-1))) / 2
    assert torch.allclose(network.embed(pictures), both, atol=1e-6)
    assert not torch.allclose(both, network.embedder.embed(pictures), atol=1e-3)


def test_a_picture_at_places_is_in_the_mean_the_whole_picture():
    network = networks.build("resnet_light", 2, image_size=96).eval()
    pictures, apart = torch.randn(2, 3, 96, 96), at_places(network, 3)
    places = apart.embed(pictures).view(2, 192, 9)
    assert torch.allclose(places.mean(2), network.embed(pictures), atol=1e-5)
    assert not torch.allclose(places[..., 0], places[..., 8], atol=1e-3)
    assert apart.head.weight is network.head.weight and at_places(network, 1) is network
    inside = {"template": "resnet_light", "concepts": 2}
    headed = networks.build("linear", 2, image_size=96, options={"size": 1728, "grid": 3, "embedder": inside})
    headed.embedder.load_state_dict(network.state_dict())
    assert torch.equal(headed.eval().embed(pictures), apart.embed(pictures))


def on_paper(name: str) -> nn.Module:
    with torch.device("meta"):
        return networks.build(name, 2, image_size=224).eval()


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "convnext_tiny", "swin_t", "squeezenet1_1"])
def test_networks_that_average_a_map_have_places(name):
    network = on_paper(name)
    vectors = at_places(network, 2).embed(torch.empty(1, 3, 224, 224, device="meta"))
    assert vectors.shape == (1, 4 * network.head.in_features)


@pytest.mark.parametrize("name", ["vit_b_16", "mobilenet_v3_large", "vgg11", "densenet121"])
def test_others_have_none(name):
    network = on_paper(name)
    assert finest_grid(network, 224) == 1
    with pytest.raises(ValueError, match="a Classifier has no places"):
        at_places(network, 2)


def test_neighbours_vote_by_how_alike_they_are():
    head = Neighbours(size=2, concepts=2, count=3, k=2, exclusive=True)
    stored = functional.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.2], [-1.0, 0.0]]))
    head.load_state_dict({"stored": stored, "labels": torch.eye(2)[[0, 1, 1]]}, strict=False)
    similar = torch.tensor([1.0, float(stored[1, 0])])
    votes = (similar / TEMPERATURE).softmax(0)  # the third is not among the two nearest
    expected = ((votes + RARE) / (1 + 2 * RARE)).log()
    assert torch.allclose(head(torch.tensor([[5.0, 0.0]]))[0], expected, atol=1e-5)
    several = Neighbours(size=2, concepts=2, count=3, k=2, exclusive=False)
    several.load_state_dict(head.state_dict())
    assert torch.allclose(several(torch.tensor([[5.0, 0.0]]))[0], expected.exp().logit(), atol=1e-5)


def test_distances_are_of_directions():
    head = Centres(size=2, count=2)
    head.load_state_dict({"centres": torch.tensor([[1.0, 0.0], [0.0, 1.0]])})
    assert torch.allclose(head(torch.tensor([[7.0, 0.0]])), torch.tensor([[0.0, 2**0.5]]), atol=1e-6)


@pytest.mark.parametrize(
    ("template", "type", "concepts", "options"),
    [
        ("linear", "embedding-classifier", ("a", "b"), {}),
        ("knn", "embedding-classifier", ("a", "b"), {"count": 4, "k": 2, "exclusive": True}),
        ("kmeans", "clusterer", ("0", "1", "2"), {}),
    ],
)
def test_a_whole_network_is_built_again_from_its_card(tmp_path, template, type, concepts, options):
    inside = {"template": "angular_margin", "concepts": 2, "options": LIGHT}
    card = Card(
        type=type,
        template=template,
        concepts=concepts,
        image_size=32,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        network={"embedder": inside, "size": 8, **options},
    )
    network = networks.build(template, len(concepts), image_size=32, options=card.network)
    for tensor in network.head.state_dict().values():
        nn.init.uniform_(tensor)
    ready = Predictor(network, card, "cpu")
    ready.save(tmp_path)
    pictures = [torch.randint(0, 255, (40, 30, 3), dtype=torch.uint8).numpy() for _ in range(3)]
    expected = [answer.rows() for answer in ready.predict(pictures)]
    assert [answer.rows() for answer in Predictor.load(tmp_path, "cpu").predict(pictures)] == expected
