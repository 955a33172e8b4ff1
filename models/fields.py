"""How a parameter is declared: its default from the template, its range in its help, its faults in sentences."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from models.catalog import default, every, template
from models.runtime.faults import Fault, choices


def by_template(name: str, **limits: Any) -> Any:
    """A field that takes its default from the template chosen, so that it is empty in a form."""
    return Field(default_factory=lambda given: default(given["template"], name), **limits)


def one_of(type: str) -> Any:
    """The field `template` of a model type: every name there is, the recommended one its default."""
    known = every(type)
    return Field(known[0], json_schema_extra={"enum": list(known)})


def span(field: dict[str, Any]) -> str:
    """A field's range in words, from its JSON schema: `32 to 1280`, `above 0, to 10`, `adamw, sgd`; may be empty."""
    if "enum" in field:
        return ", ".join(map(str, field["enum"]))
    low, high = field.get("minimum"), field.get("maximum")
    first = f"above {field['exclusiveMinimum']}, " if low is None and "exclusiveMinimum" in field else f"{low} "
    last = f"below {field['exclusiveMaximum']}" if high is None and "exclusiveMaximum" in field else f"to {high}"
    return "" if first == "None " and last == "to None" else first + last


def reach(limits: tuple[int, ...]) -> str:
    """A template's limits in words: `64 to 1280`, `320 alone`, `224 to 1120 in steps of 224`."""
    low, high, *step = limits
    if low == high:
        return f"{low} alone"
    return f"{low} to {high}" + (f" in steps of {step[0]}" if step else "")


def say_ranges(schema: dict[str, Any]) -> None:
    """Put each field's range into its help: the forms of the Prefect UI check ranges but do not show them."""
    for field in schema["properties"].values():
        known = span(field)
        own = "" if "default" in field else " Empty: the template's own."
        field["description"] = f"{field.get('description', '')}{f' [{known}]' if known else ''}{own}"


def sentence(kind: type[BaseModel], error: Any) -> str:
    """One of pydantic's errors, for a person."""
    name = ".".join(str(part) for part in error["loc"]) or "template"
    if error["type"] == "extra_forbidden":
        return f"{name}: no such parameter. {choices(name, kind.model_fields)}"
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    return f"{name}: {error['msg'].lower()}, got {error['input']!r}"


Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Parameters(BaseModel):
    """What every training can be told."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, json_schema_extra=say_ranges)
    type: ClassVar[str]

    template: str
    concepts: tuple[str, ...] = ()
    """Learn these alone, as if the dataset had no others. Empty: all."""
    seed: Seed = 0
    """The same seed, data and parameters give the same weights, bit for bit, on a CPU."""

    @property
    def network_options(self) -> dict[str, Any]:
        """What beside the template the builder of its network needs (`networks.build`, `Card.network`)."""
        return {}

    @model_validator(mode="before")
    @classmethod
    def _known_template(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("template"), str):
            try:
                found = template(given["template"])
            except Fault as fault:
                raise ValueError(str(fault)) from None
            if found.type != cls.type:
                raise ValueError(f"template {given['template']!r} is a {found.type}. {_known(cls.type)}")
        return given

    @field_validator("*")
    @classmethod
    def _within_limits(cls, value: Any, info: ValidationInfo) -> Any:
        chosen = info.data.get("template")  # the first field, so it is known here, unless it is at fault itself
        limits = template(chosen).limits if chosen else {}
        if limits.get(str(info.field_name)):
            low, high, *step = limits[str(info.field_name)]
            if not low <= value <= high or (step and value % step[0]):
                allowed = reach(limits[str(info.field_name)])
                raise ValueError(f"{info.field_name}: {chosen} takes {allowed}, got {value}")
        return value


def _known(type: str) -> str:
    return choices("", every(type), f"A {type} is one of")
