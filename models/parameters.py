"""What a training can be told: one frozen pydantic model per model type, with ranges and a line of help a field.

The same object is the YAML file, the flow's parameter and the form in the Prefect UI. A field whose best
value depends on the architecture takes the template's own when it is not given.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from models.catalog import TEMPLATES, every, template
from models.embedding_parameters import ClustererParameters, EmbeddingClassifierParameters
from models.fields import Parameters, by_template, one_of, reach, sentence
from models.runtime.faults import Fault, choices

NAMED = ("none", "pretrained")  # what a training can start from beside files and versions


class NetworkParameters(Parameters):
    """What the training of every network can be told."""

    image_size: int = by_template("image_size", ge=32, le=1280, multiple_of=32)
    """Pixels. A classifier sees a square of this side; a detector pictures whose longer side is this."""
    batch_size: int = by_template("batch_size", ge=0, le=1024)
    """Pictures a training step, on all devices together. 0 or `auto`: the most that fit in half of the memory."""
    epochs: int = by_template("epochs", ge=1, le=1000)
    """Times every training picture is seen."""
    min_samples_per_epoch: int = Field(0, ge=0, le=1_000_000)
    """A smaller training split is repeated until an epoch has so many pictures. 0: as it is."""
    optimizer: Literal["adamw", "sgd"] = by_template("optimizer")
    """AdamW, or SGD with Nesterov momentum 0.9."""
    learning_rate: float = by_template("learning_rate", gt=0, le=10)
    """At its highest, after the warm-up."""
    final_learning_rate: float = by_template("final_learning_rate", ge=0, le=1)
    """What the cosine ends at, as a share of the learning rate."""
    backbone_learning_rate: float = by_template("backbone_learning_rate", ge=0, le=1)
    """Share of the learning rate for all but the head: below 1 where it starts from good weights."""
    layer_decay: float = by_template("layer_decay", gt=0, le=1)
    """Each stage learns at this share of the rate of the one after it; 1: all alike."""
    frozen_stages: int = Field(0, ge=0, le=6)
    """So many stages of the backbone, the first ones (the stem is one), stay as they start; batch-norm too."""
    weight_decay: float = by_template("weight_decay", ge=0, le=1)
    """Pulls weights (not biases, nor norms) towards zero."""
    warmup_steps: int = by_template("warmup_steps", ge=0, le=100_000)
    """Steps in which the learning rate rises from near 0; at most a quarter of the training."""
    schedule: Literal["cosine", "steps", "constant"] = by_template("schedule")
    """After the warm-up: a cosine down to its end, a tenth at 2/3 and 8/9 of the way, or flat."""
    clip_gradients: float = by_template("clip_gradients", ge=0, le=1000)
    """Largest norm of all gradients together; 0: any."""
    ema_decay: float = Field(0.998, ge=0, lt=1)
    """Of the moving average of the weights, which is what is measured and kept; 0: the weights themselves."""
    augmentation: Literal["none", "light", "flip", "strong"] = by_template("augmentation")
    """How training pictures vary: not, colour scale and place, those and mirrored, or more of all."""
    sampling: Literal["shuffled", "balanced"] = "shuffled"
    """Every picture once an epoch, or rare concepts' pictures more often, in proportion."""
    class_weights: Literal["none", "balanced"] = "none"
    """Whether the loss weighs a rare concept more, by the inverse of its share (at most ten times)."""
    splits: Literal["train", "train+val"] = "train"
    """What is learned from. train+val: nothing is left to pick the epoch by, nor to pick a threshold by honestly."""
    weights: str = "none"
    """Start from `none`, `pretrained` (the library's, online), a .safetensors file or a version (`roofs/3`)."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the arithmetic in training. auto: bfloat16 where the processor has it and it is quicker, else float32."""
    early_stopping_epochs: int = Field(0, ge=0, le=1000)
    """Stop when the metric below has not improved for so many epochs. 0: never."""
    early_stopping_metric: str = ""
    """A metric of the validation, `val_loss` or `val_…`. Empty: the one that picks the weights."""

    @field_validator("batch_size", mode="before")
    @classmethod
    def _auto(cls, given: Any) -> Any:
        return 0 if given == "auto" else given

    @property
    def architecture(self) -> str:
        """The template whose network it is, or stands on: it says how pictures are normalised."""
        return str(self.network_options.get("backbone", self.template))


class ClassifierParameters(NetworkParameters):
    """How to train a visual classifier."""

    type = "visual-classifier"

    template: str = one_of("visual-classifier")
    """The architecture."""
    concepts_mutually_exclusive: bool = True
    """True: one concept a picture (softmax). False: any number of them (sigmoid, one yes-or-no each)."""
    loss: Literal["cross-entropy", "binary"] = by_template("loss")
    """Of concepts that exclude each other: cross-entropy, or one yes-or-no each (as in 'ResNet strikes back')."""
    label_smoothing: float = by_template("label_smoothing", ge=0, lt=1)
    """Share of each label spread over all concepts: less overconfidence."""
    mixup: float = by_template("mixup", ge=0, le=10)
    """Alpha of mixup (Zhang 2018): two pictures laid over each other. 0: never. With cutmix: either."""
    cutmix: float = by_template("cutmix", ge=0, le=10)
    """Alpha of CutMix (Yun 2019): a piece of one picture in another. 0: never."""


class DetectorParameters(NetworkParameters):
    """How to train a visual detector."""

    type = "visual-detector"

    template: str = one_of("visual-detector")
    """The architecture."""
    mosaic: float = by_template("mosaic", ge=0, le=1)
    """Share of training pictures that are composed of four (Bochkovskiy 2020)."""
    mosaic_free_epochs: int = Field(10, ge=0, le=1000)
    """So many epochs, the last ones, see whole pictures alone; at most half of all."""
    fit_anchors: bool = False
    """Anchors of the dataset's box sizes (k-means) instead of the template's, where it has any."""
    nms_iou: float = Field(0.6, gt=0, lt=1)
    """Of two boxes of one concept that overlap more (intersection over union), the surer one stays."""
    max_detections: int = Field(100, ge=1, le=1000)
    """At most so many boxes a picture."""

    @field_validator("fit_anchors")
    @classmethod
    def _has_anchors(cls, wanted: bool, info: ValidationInfo) -> bool:
        chosen = info.data.get("template")
        if wanted and chosen and not template(chosen).anchors:
            have = [name for name, entry in TEMPLATES.items() if entry.anchors]
            raise ValueError(f"fit_anchors: {chosen} has no anchors. {choices('', have, 'These have')}")
        return wanted


class EmbedderParameters(NetworkParameters):
    """How to train a visual embedder."""

    type = "visual-embedder"

    template: str = one_of("visual-embedder")
    """What is learned: to tell concepts apart by an angular margin, or nothing."""
    backbone: str = by_template("backbone", json_schema_extra={"enum": list(every("visual-classifier"))})
    """The network below: any of a visual classifier's."""
    embedding_size: int = by_template("embedding_size", ge=0, le=2048)
    """Numbers in a vector. 0, of `as_is` alone: as many as the backbone gives."""
    angular_scale: float = Field(32.0, ge=1, le=128)
    """By how much cosines are multiplied before the softmax (s of ArcFace): more is sharper."""
    angular_margin: float = Field(0.3, ge=0, le=0.9)
    """Radians by which a picture has to be nearer to its own concept than to others (m of ArcFace)."""
    epochs: int = by_template("epochs", ge=0, le=1000)
    """Times every training picture is seen."""
    weights: str = by_template("weights")
    """Start from `none`, `pretrained` (torchvision's, online), a .safetensors file or a version (`roofs/3`)."""

    @property
    def network_options(self) -> dict[str, Any]:
        """The network below, and how long the vectors are."""
        return {"backbone": self.backbone, "embedding_size": self.embedding_size}

    @field_validator("backbone")
    @classmethod
    def _known_backbone(cls, given: str) -> str:
        if given not in (known := every("visual-classifier")):
            raise ValueError(f"backbone: there is no network {given!r}. {choices(given, known)}")
        return given

    @model_validator(mode="after")
    def _size_of_the_backbone(self) -> Self:
        limits = template(self.backbone).limits.get("image_size", (32, 1280))
        low, high, *step = limits
        if not low <= self.image_size <= high or (step and self.image_size % step[0]):
            raise ValueError(f"image_size: {self.backbone} takes {reach(limits)}, got {self.image_size}")
        return self

    @model_validator(mode="after")
    def _something_to_embed_with(self) -> Self:
        if self.template == "as_is" and self.weights == "none":
            raise ValueError("weights: as_is trains nothing: name pretrained, a .safetensors file or a version")
        return self


BY_TYPE: dict[str, type[Parameters]] = {
    kind.type: kind
    for kind in (
        ClassifierParameters,
        DetectorParameters,
        EmbedderParameters,
        EmbeddingClassifierParameters,
        ClustererParameters,
    )
}


def parameters(given: dict[str, Any], where: str = "parameters") -> Parameters:
    """Checked parameters of the type that `given["template"]` belongs to.

    Raises Fault that names every field at fault, what was given and what is allowed.
    """
    chosen = given.get("template")
    if not isinstance(chosen, str):
        raise Fault(f"{where}: template: a name is wanted, got {chosen!r}. {choices('', TEMPLATES)}")
    kind = BY_TYPE[template(chosen).type]
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        entries = [entry for entry in error.errors() if entry["type"] != "default_factory_not_called"]
        faults = [sentence(kind, entry) for entry in entries]
        raise Fault(f"{where}: " + "; ".join(faults)) from None


def is_version(weights: str) -> bool:
    """Whether a parameter `weights` means a registered version: no word of its own, and no file."""
    return weights not in NAMED and not weights.endswith(".safetensors") and not Path(weights).is_file()
