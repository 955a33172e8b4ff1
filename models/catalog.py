"""The one table of model types and templates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from models.runtime.faults import Fault, choices

TYPES = {
    "visual-classifier": "What is in this picture? Concepts with scores for an image.",
    "visual-detector": "Where is what in this picture? Boxes with a concept and a score each.",
}


@dataclass(frozen=True, slots=True)
class Template:
    """A named architecture of one model type.

    defaults: its own values for its type's parameters.  limits: (lowest, highest) where the architecture
    takes less than the type's parameters allow.
    """

    type: str
    help: str
    defaults: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)


TEMPLATES = {
    "resnet18": Template(
        "visual-classifier",
        "ResNet-18 (He 2015): the sound first choice for classification, small pictures included.",
        {"image_size": 128, "batch_size": 32, "epochs": 60, "learning_rate": 1e-3},
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
    "MMClassification_ResNet_50_RSB_A1": "resnet18",
    "MMClassification_ResNet_50": "resnet18",
    "MMClassification_EfficientNet": "resnet18",
    "MMClassification_AdvancedConfig": "resnet18",
    "Clarifai_ResNext": "resnet18",
    "Clarifai_InceptionBatchNorm": "resnet18",
    "Clarifai_InceptionTransferEmbedNorm": "resnet18",
}


def template(name: str) -> Template:
    """The template of that name. Raises Fault with the names there are, or with what to use instead."""
    if name in TEMPLATES:
        return TEMPLATES[name]
    if name in SUCCESSORS:
        raise Fault(f"template {name!r} is the hosted platform's. Use {SUCCESSORS[name]!r} instead.")
    raise Fault(f"there is no template {name!r}. {choices(name, TEMPLATES)}")


def names(type: str) -> tuple[str, ...]:
    """The templates of a model type, the recommended one first. Raises Fault for an unknown type."""
    if type not in TYPES:
        raise Fault(f"there is no trainable model type {type!r}. {choices(type, TYPES)}")
    return tuple(name for name, entry in TEMPLATES.items() if entry.type == type)
