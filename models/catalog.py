"""The one table of model types and templates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from models.runtime.faults import Fault, choices

TYPES = {
    "visual-classifier": "What is in this picture? Concepts with scores for an image.",
    "visual-detector": "Where is what in this picture? Boxes with a concept and a score each.",
    "visual-embedder": "Which pictures are alike? A vector for an image, near those of images of the same concept.",
    "embedding-classifier": "What is in this picture, learned in seconds from ten of each? Concepts, from vectors.",
    "clusterer": "Which groups do these pictures fall into? A cluster for an image, without any label.",
}

# torchvision's classification networks (`torchvision.models.list_models(module=torchvision.models)`), written down so
# that a command can name them without importing torch; a test holds the list against the library's.
TORCHVISION = tuple(
    """
    alexnet convnext_base convnext_large convnext_small convnext_tiny densenet121 densenet161 densenet169 densenet201
    efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6
    efficientnet_b7 efficientnet_v2_l efficientnet_v2_m efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet0_5
    mnasnet0_75 mnasnet1_0 mnasnet1_3 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small regnet_x_16gf regnet_x_1_6gf
    regnet_x_32gf regnet_x_3_2gf regnet_x_400mf regnet_x_800mf regnet_x_8gf regnet_y_128gf regnet_y_16gf regnet_y_1_6gf
    regnet_y_32gf regnet_y_3_2gf regnet_y_400mf regnet_y_800mf regnet_y_8gf resnet101 resnet152 resnet18 resnet34
    resnet50 resnext101_32x8d resnext101_64x4d resnext50_32x4d shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5
    shufflenet_v2_x2_0 squeezenet1_0 squeezenet1_1 swin_b swin_s swin_t swin_v2_b swin_v2_s swin_v2_t vgg11 vgg11_bn
    vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn vit_b_16 vit_b_32 vit_h_14 vit_l_16 vit_l_32 wide_resnet101_2
    wide_resnet50_2
    """.split()  # noqa: SIM905 (a list of quoted names is four times as long)
)


@dataclass(frozen=True, slots=True)
class Template:
    """A named architecture of one model type.

    defaults: its own values for its type's parameters.  limits: (lowest, highest) where the architecture
    takes less than the type's parameters allow.  extra: of the project's extras, the one it needs installed.
    """

    type: str
    help: str
    defaults: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)
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
}

_ATTENTION = {"optimizer": "adamw", "learning_rate": 3e-4, "warmup_steps": 500, "batch_size": 32}

TEMPLATES = {
    "resnet_light": Template(
        "visual-classifier",
        "A light ResNet that trains well from nothing, on a CPU too: the first choice without pretrained weights.",
        {"image_size": 128, "batch_size": 32, "epochs": 100, "learning_rate": 2e-3},
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
    "resnet50_rsb_a1": Template(
        "visual-classifier",
        "ResNet-50 by the recipe A1 of 'ResNet strikes back' (Wightman 2021): the best of it, in long trainings.",
        {
            "batch_size": 64,
            "epochs": 200,
            "weight_decay": 0.01,
            "warmup_steps": 500,
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
        {"image_size": 320, "batch_size": 4, "epochs": 60, "learning_rate": 2e-3},
        {"image_size": (64, 1280)},
    ),
    "ssdlite320_mobilenet_v3_large": Template(
        "visual-detector",
        "SSDlite on MobileNetV3 (torchvision): small and fast; wants pretrained weights or much data.",
        {"image_size": 320, "batch_size": 16, "epochs": 100, "learning_rate": 1e-3},
        {"image_size": (320, 320)},
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

# What people who come from the hosted platform ask for, and what does that job here.
SUCCESSORS = {
    "MMDetection_SSD": "ssdlite320_mobilenet_v3_large",
    "MMDetection_YoloF": "fcos_light",
    "MMDetection_FasterRCNN": "fcos_light",
    "MMDetection_AdvancedConfig": "fcos_light",
    "Clarifai_InceptionV2": "fcos_light",
    "Clarifai_InceptionV4": "fcos_light",
    "detection_msc10": "fcos_light",
    "MMClassification_ResNet_50_RSB_A1": "resnet50_rsb_a1",
    "MMClassification_ResNet_50": "resnet50",
    "MMClassification_EfficientNet": "efficientnet_b0",
    "MMClassification_AdvancedConfig": "resnet50",
    "Clarifai_ResNext": "resnet50",
    "Clarifai_InceptionBatchNorm": "resnet18",
    "Clarifai_InceptionTransferEmbedNorm": "resnet18",
    "Clarifai_ResNet_AngularMargin": "angular_margin",
    "classification_angular_margin_embed": "angular_margin",
    "classification_basemodel_v1_embed": "as_is",
}


def template(name: str) -> Template:
    """The template of that name: a tuned one, or any torchvision classification network with sound defaults.

    Raises Fault with the names there are, or with what to use instead.
    """
    if name in TEMPLATES:
        return TEMPLATES[name]
    if name in TORCHVISION:
        return Template("visual-classifier", f"torchvision's {name}, with defaults for no network in particular.")
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
