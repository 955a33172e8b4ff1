"""The one table of model types and templates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from models.runtime.faults import Fault, choices
from models.successors import SUCCESSORS
from models.torchvision_names import NOT_COMMERCIAL, SIZES, TORCHVISION

TYPES = {
    "visual-classifier": "What is in this picture? Concepts with scores for an image.",
    "visual-detector": "Where is what in this picture? Boxes with a concept and a score each.",
    "visual-embedder": "Which pictures are alike? A vector for an image, near those of images of the same concept.",
    "embedding-classifier": "What is in this picture, learned in seconds from ten of each? Concepts, from vectors.",
    "clusterer": "Which groups do these pictures fall into? A cluster for an image, without any label.",
}


@dataclass(frozen=True, slots=True)
class Template:
    """A named architecture of one model type.

    defaults: its own values for its type's parameters.  limits: (lowest, highest) where the architecture
    takes less than the type's parameters allow, or (lowest, highest, step).  anchors: whether boxes are told from
    anchors, which can be fitted.  extra: of the project's extras, the one it needs installed.
    """

    type: str
    help: str
    defaults: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, tuple[int, ...]] = field(default_factory=dict)
    anchors: bool = False
    extra: str = ""


# What each parameter is where neither the user nor the template says otherwise. A parameter that is not here has one
# value for all templates: its own field's.
COMMON: dict[str, Any] = {
    "image_size": 224,
    "batch_size": 32,
    "epochs": 60,
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "final_learning_rate": 0.01,
    "weight_decay": 0.05,
    "warmup_steps": 100,
    "schedule": "cosine",
    "augmentation": "flip",
    "label_smoothing": 0.1,
    "loss": "cross-entropy",
    "mixup": 0.0,
    "cutmix": 0.0,
    "mosaic": 0.0,
    "layer_decay": 1.0,
    "weights": "none",
    "backbone": "resnet_light",
    "embedding_size": 128,
    "backbone_learning_rate": 1.0,
    "clip_gradients": 10.0,
}

# The packages of each of the project's extras that a registered version then needs too.
EXTRAS = {"transformers": ("transformers",)}

_SGD = {"optimizer": "sgd", "schedule": "steps", "warmup_steps": 500}
_ATTENTION = {"optimizer": "adamw", "learning_rate": 3e-4, "warmup_steps": 500, "batch_size": 32}

TEMPLATES = {
    "resnet_light": Template(
        "visual-classifier",
        "A light ResNet that trains well from nothing, on a CPU too: the first choice without pretrained weights.",
        {"image_size": 128, "batch_size": 32, "epochs": 80, "learning_rate": 2e-3},
        {"image_size": (32, 640)},
    ),
    "resnet18": Template(
        "visual-classifier",
        "ResNet-18 (He 2015): the sound first choice with pretrained weights; small pictures too.",
        {"image_size": 128, "batch_size": 32, "epochs": 60, "learning_rate": 1e-3},
    ),
    "resnet50": Template(
        "visual-classifier",
        "ResNet-50 (He 2015): the workhorse for photos, on a GPU.",
        {"batch_size": 64},
    ),
    # The recipe's optimiser is LAMB (You 2019): Adam with decoupled decay, each layer's step scaled to the norm of its
    # weights, for batches of thousands (A1's are of 2048). torch has none. At the batches of one device AdamW, which
    # torch maintains, is its close equal, with warm-up and clipping against too large steps and a rate of its own.
    "resnet50_rsb_a1": Template(
        "visual-classifier",
        "ResNet-50 by the recipe A1 of 'ResNet strikes back' (Wightman 2021): the best of it, in long trainings.",
        {
            "batch_size": 64,
            "epochs": 200,
            "optimizer": "adamw",
            "learning_rate": 1e-3,
            "weight_decay": 0.01,
            "warmup_steps": 500,
            "schedule": "cosine",
            "final_learning_rate": 0.001,
            "augmentation": "strong",
            "label_smoothing": 0.1,
            "loss": "binary",
            "mixup": 0.2,
            "cutmix": 1.0,
        },
    ),
    "mobilenet_v3_large": Template(
        "visual-classifier",
        "MobileNetV3 (Howard 2019): small and quick to answer, with pretrained weights.",
        {"batch_size": 64, "learning_rate": 1e-3},
    ),
    "efficientnet_b0": Template(
        "visual-classifier",
        "EfficientNet-B0 (Tan 2019): more exact than MobileNet at three times its cost.",
        {"batch_size": 32},
    ),
    "convnext_tiny": Template(
        "visual-classifier",
        "ConvNeXt-Tiny (Liu 2022): the most exact convolutional one here; wants pretrained weights and a GPU.",
        _ATTENTION,
    ),
    "vit_b_16": Template(
        "visual-classifier",
        "Vision Transformer B/16 (Dosovitskiy 2020): wants pretrained weights, a GPU and many pictures.",
        _ATTENTION | {"layer_decay": 0.75},
    ),
    "fcos_light": Template(
        "visual-detector",
        "A light anchor-free detector with batch-norm that trains well from nothing, on a CPU too.",
        {"image_size": 320, "batch_size": 4, "epochs": 45, "learning_rate": 2e-3},
        {"image_size": (64, 1280)},
    ),
    "ssdlite320_mobilenet_v3_large": Template(
        "visual-detector",
        "SSDlite on MobileNetV3 (torchvision): small and fast; wants pretrained weights or much data.",
        {"image_size": 320, "batch_size": 16, "epochs": 100, "learning_rate": 1e-3},
        {"image_size": (320, 320)},
        anchors=True,
    ),
    # Below, torchvision's own recipes, their rates scaled with the batch; where those take SGD, so does the template.
    "ssd300_vgg16": Template(
        "visual-detector",
        "SSD on VGG-16 (Liu 2016; torchvision), at 320 pixels: the classic; wants pretrained weights.",
        _SGD | {"image_size": 320, "batch_size": 16, "epochs": 120, "learning_rate": 1e-3, "weight_decay": 5e-4},
        {"image_size": (320, 640)},
        anchors=True,
    ),
    "fasterrcnn_mobilenet_v3_large_320_fpn": Template(
        "visual-detector",
        "Faster R-CNN on MobileNetV3 (torchvision): two looks at each box, light enough for a CPU.",
        _SGD | {"image_size": 320, "batch_size": 16, "epochs": 60, "learning_rate": 0.02, "weight_decay": 1e-4},
        {"image_size": (128, 1280)},
        anchors=True,
    ),
    "fasterrcnn_resnet50_fpn_v2": Template(
        "visual-detector",
        "Faster R-CNN on ResNet-50 (Li 2021; torchvision): exact, two looks at each box; wants a GPU.",
        _SGD | {"image_size": 640, "batch_size": 8, "epochs": 40, "learning_rate": 0.01, "weight_decay": 1e-4},
        {"image_size": (128, 1280)},
        anchors=True,
    ),
    "retinanet_resnet50_fpn_v2": Template(
        "visual-detector",
        "RetinaNet on ResNet-50 (Zhang 2019; torchvision): exact in one look, for many small things; wants a GPU.",
        {"image_size": 640, "batch_size": 8, "epochs": 40, "learning_rate": 1e-4, "warmup_steps": 500},
        {"image_size": (128, 1280)},
        anchors=True,
    ),
    "fcos_resnet50_fpn": Template(
        "visual-detector",
        "FCOS on ResNet-50 (Tian 2019; torchvision): one look, without anchors; wants a GPU.",
        _SGD | {"image_size": 640, "batch_size": 8, "epochs": 40, "learning_rate": 5e-3, "weight_decay": 1e-4},
        {"image_size": (128, 1280)},
    ),
    "dfine_small": Template(
        "visual-detector",
        "D-FINE-S (Peng 2024; transformers): a real-time transformer, the most exact here; pretrained, on a GPU.",
        {
            "image_size": 640,
            "batch_size": 16,
            "epochs": 100,
            "learning_rate": 2e-4,
            "backbone_learning_rate": 0.5,
            "weight_decay": 1e-4,
            "warmup_steps": 500,
            "clip_gradients": 0.1,
        },
        {"image_size": (256, 1280)},
        extra="transformers",
    ),
    "angular_margin": Template(
        "visual-embedder",
        "ArcFace (Deng 2019) on any classification backbone: learns what makes pictures of one concept alike.",
        {"image_size": 128, "batch_size": 32, "epochs": 60, "learning_rate": 1e-3},
        {"epochs": (1, 1000), "embedding_size": (8, 2048)},
    ),
    "as_is": Template(
        "visual-embedder",
        "No training: a pretrained backbone, or any weights named, as they are.",
        {"backbone": "resnet50", "weights": "pretrained", "epochs": 0, "embedding_size": 0},
        {"epochs": (0, 0)},
    ),
    "linear": Template(
        "embedding-classifier",
        "Logistic regression on embeddings, its strength picked by cross-validation: the sound first choice.",
    ),
    "knn": Template(
        "embedding-classifier",
        "The nearest neighbours' concepts: nothing to fit, and a new picture counts at once.",
    ),
    "kmeans": Template(
        "clusterer",
        "k-means (Lloyd 1982) on embeddings of length 1: k given, or found by the silhouette.",
    ),
}


def template(name: str) -> Template:
    """The template of that name: a tuned one, or any torchvision classification network with sound defaults.

    Raises Fault with the names there are, or with what to use instead.
    """
    if name in TEMPLATES:
        return TEMPLATES[name]
    if name in TORCHVISION:
        help = f"torchvision's {name}, with defaults for no network in particular."
        if name in NOT_COMMERCIAL:
            help += " Its pretrained weights are not for commercial use (CC-BY-NC 4.0)."
        return Template("visual-classifier", help, limits={"image_size": SIZES[name]} if name in SIZES else {})
    if name in SUCCESSORS:
        raise Fault(f"template {name!r} is the hosted platform's. Use {SUCCESSORS[name]!r} instead.")
    raise Fault(f"there is no template {name!r}. {choices(name, every())}")


def names(type: str) -> tuple[str, ...]:
    """The tuned templates of a model type, the recommended one first. Raises Fault for an unknown type."""
    if type not in TYPES:
        raise Fault(f"there is no trainable model type {type!r}. {choices(type, TYPES)}")
    return tuple(name for name, entry in TEMPLATES.items() if entry.type == type)


def every(type: str = "") -> tuple[str, ...]:
    """All that `template` takes, of one type or of all: the tuned ones first, then the rest of torchvision."""
    tuned = names(type) if type else tuple(TEMPLATES)
    more = TORCHVISION if type in ("", "visual-classifier") else ()
    return tuple(dict.fromkeys((*tuned, *more)))


def default(name: str, parameter: str) -> Any:
    """A template's value for a parameter that is not given."""
    own = template(name).defaults
    return own[parameter] if parameter in own else COMMON[parameter]


def libraries(name: str) -> tuple[str, ...]:
    """What a template's network needs installed to answer, beside torch and torchvision: names of packages."""
    return EXTRAS.get(template(name).extra, ())
