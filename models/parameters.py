"""What a training can be told: one frozen model per model type, with ranges and a line of help a field.

The same object is the YAML file, the flow's parameter and the form in the Prefect UI. A field whose best
value depends on the architecture takes the template's own when it is not given.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from models.catalog import TEMPLATES, template
from models.runtime.faults import Fault, choices


def by_template(name: str, **limits: Any) -> Any:
    """A field that takes its default from the template chosen, so that it is empty in a form."""
    return Field(default_factory=lambda given: TEMPLATES[given["template"]].defaults[name], **limits)


def span(field: dict[str, Any]) -> str:
    """A field's range in words, from its JSON schema: `32 to 1280`, `above 0, to 10`, `adamw, sgd`; may be empty."""
    if "enum" in field:
        return ", ".join(map(str, field["enum"]))
    low, high = field.get("minimum"), field.get("maximum")
    first = f"above {field['exclusiveMinimum']}, " if low is None and "exclusiveMinimum" in field else f"{low} "
    last = f"below {field['exclusiveMaximum']}" if high is None and "exclusiveMaximum" in field else f"to {high}"
    return "" if first == "None " and last == "to None" else first + last


def _say_ranges(schema: dict[str, Any]) -> None:
    """Put each field's range into its help: the forms of the Prefect UI check ranges but do not show them."""
    for field in schema["properties"].values():
        known = span(field)
        own = "" if "default" in field else " Empty: the template's own."
        field["description"] = f"{field.get('description', '')}{f' [{known}]' if known else ''}{own}"


class Parameters(BaseModel):
    """What every training can be told."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, json_schema_extra=_say_ranges)

    template: str
    image_size: int = by_template("image_size", ge=32, le=1280, multiple_of=32)
    """Pixels. A classifier sees a square of this side; a detector pictures whose longer side is this."""
    batch_size: int = by_template("batch_size", ge=1, le=256)
    """Pictures a training step."""
    epochs: int = by_template("epochs", ge=1, le=1000)
    """Times every training picture is seen."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """AdamW, or SGD with Nesterov momentum 0.9."""
    learning_rate: float = by_template("learning_rate", gt=0, le=10)
    """At its highest, after the warm-up."""
    weight_decay: float = Field(0.05, ge=0, le=1)
    """Pulls weights (not biases, nor norms) towards zero."""
    warmup_steps: int = Field(100, ge=0, le=100_000)
    """Steps in which the learning rate rises from near 0; at most a quarter of the training."""
    schedule: Literal["cosine", "steps", "constant"] = "cosine"
    """After the warm-up: a cosine to 1 % of the learning rate, a tenth at 2/3 and 8/9 of the way, or flat."""
    augmentation: Literal["none", "light", "flip", "strong"] = "flip"
    """How training pictures vary: not, colour scale and place, those and mirrored, or more of all."""
    weights: str = "none"
    """Start from `none` (nothing), `pretrained` (torchvision's, online) or a .safetensors file."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """The same seed, data and parameters give the same weights, bit for bit, on a CPU."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the arithmetic in training. auto: bfloat16 where the processor has it (up to twice as fast), else float32."""
    early_stopping_epochs: int = Field(0, ge=0, le=1000)
    """Stop when the validation metric has not improved for so many epochs. 0: never."""

    @model_validator(mode="before")
    @classmethod
    def _known_template(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("template"), str):
            try:
                template(given["template"])
            except Fault as fault:
                raise ValueError(str(fault)) from None
        return given

    @field_validator("*")
    @classmethod
    def _within_limits(cls, value: Any, info: ValidationInfo) -> Any:
        chosen = info.data.get("template")  # the first field, so it is known here, unless it is at fault itself
        limits = TEMPLATES[chosen].limits if chosen else {}
        low, high = limits.get(str(info.field_name), (value, value))
        if not low <= value <= high:
            span = f"{low} to {high}" if low != high else f"{low} alone"
            raise ValueError(f"{info.field_name}: {chosen} takes {span}, got {value}")
        return value


class ClassifierParameters(Parameters):
    """How to train a visual classifier."""

    template: Literal["resnet18"] = "resnet18"
    """The architecture."""
    concepts_mutually_exclusive: bool = True
    """True: one concept a picture (softmax). False: any number of them (sigmoid, one yes-or-no each)."""
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    """Share of each label spread over all concepts: less overconfidence."""


class DetectorParameters(Parameters):
    """How to train a visual detector."""

    template: Literal["fcos_light", "ssdlite320_mobilenet_v3_large"] = "fcos_light"
    """The architecture."""
    nms_iou: float = Field(0.6, gt=0, lt=1)
    """Of two boxes of one concept that overlap more (intersection over union), the surer one stays."""
    max_detections: int = Field(100, ge=1, le=1000)
    """At most so many boxes a picture."""


BY_TYPE: dict[str, type[Parameters]] = {
    "visual-classifier": ClassifierParameters,
    "visual-detector": DetectorParameters,
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
        faults = [_sentence(kind, entry) for entry in entries]
        raise Fault(f"{where}: " + "; ".join(faults)) from None


def _sentence(kind: type[Parameters], error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"]) or "template"
    if error["type"] == "extra_forbidden":
        return f"{name}: no such parameter. {choices(name, kind.model_fields)}"
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    return f"{name}: {error['msg'].lower()}, got {error['input']!r}"
