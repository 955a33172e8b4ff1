"""What a sweep tries: values of parameters, how many trials, and by which metric they are told apart."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from models.catalog import template
from models.parameters import BY_TYPE, NetworkParameters, Parameters, parameters
from models.runtime.faults import Fault, choices, listed, short
from tasks.parsed import parsed

MOST = 2000  # values of a range that are each tried against the parameter's own rules; of a longer one its ends
EXAMPLE = "space: {learning_rate: {low: 1e-4, high: 1e-2, log: true}, augmentation: [flip, strong]}"


class Span(BaseModel):
    """Every value from `low` to `high`, both included.

    step: between two values; a whole number's is 1 where none is given.  log: as many between 1 and 10 as
    between 10 and 100.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    high: float
    step: Annotated[float, Field(gt=0)] | None = None
    log: bool = False

    @model_validator(mode="after")
    def _possible(self) -> Span:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got {self.low:g} and {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"on a log scale low must be above 0, got {self.low:g}")
        if self.log and self.step is not None:
            raise ValueError("give log or step, not both")
        return self


def _form(values: Any) -> str:
    return "list" if isinstance(values, list) else "range"


Values = Annotated[Annotated[Span, Tag("range")] | Annotated[list[Any], Tag("list")], Discriminator(_form)]


class Search(BaseModel):
    """A sweep, as its file says.

    trials: so many are finished, those that were pruned or failed included.  seconds: no trial begins when those
    before took so many; None: no limit.  metric: of the validation; empty: the one that picks the weights.
    seed: the same seed and trials so far give the same next trial.  pruning: `median` stops a trial whose metric is
    below the median of the earlier ones at the same epoch.  epochs: of a trial; None: as many as the training has.
    space: by parameter, the values to choose from (a list) or a range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    space: dict[str, Values]
    trials: int = Field(20, ge=1, le=10_000)
    seconds: float | None = Field(None, gt=0)
    metric: str = ""
    seed: int = Field(0, ge=0, le=2**31 - 1)
    pruning: Literal["median", "none"] = "median"
    epochs: int | None = Field(None, ge=1, le=1000)

    @property
    def digest(self) -> str:
        """Of all that decides what the trials are. Not of how many: a sweep goes on where it ended with fewer."""
        meaning = self.model_dump(mode="json", exclude={"trials", "seconds"})
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def minimised(self) -> bool:
        return self.metric.endswith("loss")

    def trial(self, given: Mapping[str, Any], values: Mapping[str, Any]) -> Parameters:
        """The parameters of one trial. It learns from train alone: what it is worth is measured on val."""
        whole = {**given, **values}
        changed: dict[str, Any] = {"splits": "train"}
        if self.epochs is not None:
            changed["epochs"] = self.epochs
        return parameters(whole | changed)


def read_search(path: Path, given: Mapping[str, Any]) -> Search:
    """A sweep.yaml for a training with these parameters. Raises Fault that names everything that is wrong with it."""
    try:
        content = parsed(path.read_bytes())
    except OSError as error:
        raise Fault(f"{path}: {(error.strerror or 'unreadable').lower()}") from None
    except ValueError as error:
        raise Fault(f"{path}: not YAML ({error})") from None
    if not isinstance(content, dict) or not isinstance(content.get("space"), dict) or not content["space"]:
        raise Fault(f"{path}: a sweep is a mapping with a space, as in\n{EXAMPLE}")
    try:
        search = Search.model_validate(content)
    except ValidationError as error:
        raise Fault(f"{path}: {'; '.join(map(_told, error.errors()))}") from None
    return checked(search, given, str(path))


def checked(search: Search, given: Mapping[str, Any], where: str) -> Search:
    """The same with each value as its parameter has it. Raises Fault that lists every value that is none."""
    kind = BY_TYPE[template(given["template"]).type]
    if not issubclass(kind, NetworkParameters):
        raise Fault(f"{where}: a {kind.type} is not trained in epochs, so there is nothing to sweep")
    faults, space = list(_conflicts(search)), {}
    for name, values in search.space.items():
        if name not in kind.model_fields:
            faults.append(f"{name}: no such parameter. {choices(name, kind.model_fields)}")
            continue
        found = list(_spanned(kind, name, values) if isinstance(values, Span) else _chosen(name, values))
        problems = [entry for entry in found if isinstance(entry, Fault)]
        tried = problems or [_tried(search, given, name, value) for value in found]
        wrong = [str(entry) for entry in tried if isinstance(entry, Fault)]
        if wrong:
            faults.append(wrong[0] + (f" (and {len(wrong) - 1} more of {name})" if len(wrong) > 1 else ""))
        space[name] = values if isinstance(values, Span) else list(dict.fromkeys(tried))
    if faults:
        raise Fault(f"{where}: {len(faults)} fault{'s' * (len(faults) > 1)}: {'; '.join(faults)}")
    return search.model_copy(update={"space": space})


def _told(entry: Any) -> str:
    """One of pydantic's errors about a sweep, for a person."""
    place = [str(part) for part in entry["loc"] if part not in ("range", "list")]
    name, where = place[-1], ".".join(place)
    if entry["type"] == "extra_forbidden":
        return f"{where}: no such key. {choices(name, (Search if len(place) == 1 else Span).model_fields)}"
    if entry["type"] == "model_type":
        return f"{where}: a list of values or a range (low, high, step or log) is wanted, got {short(entry['input'])}"
    if entry["type"] == "value_error":
        return f"{where}: {entry['ctx']['error']}"
    given = "" if entry["type"] == "missing" else f", got {short(entry['input'])}"
    return f"{where}: {entry['msg'].lower()}{given}"


def _conflicts(search: Search) -> Iterator[str]:
    """What cannot be searched, because a sweep itself decides it."""
    if "epochs" in search.space and search.epochs is not None:
        yield "epochs: either every trial has as many (epochs) or they are tried (space.epochs)"
    if "splits" in search.space:
        yield "splits: cannot be tried: a trial learns from train and is measured on val"
    if search.metric and not search.metric.startswith("val_"):
        yield f"metric: one of the validation's is wanted, val_loss or val_…, got {short(search.metric)!r}"


def _chosen(name: str, values: list[Any]) -> Iterator[Any]:
    if not values:
        yield Fault(f"{name}: an empty list of values")
    for value in values:
        plain = isinstance(value, str | bool | int | float)
        yield value if plain else Fault(f"{name}: a value is a number, a word or true and false, got {short(value)}")


def _spanned(kind: type[Parameters], name: str, span: Span) -> Iterator[Any]:
    """Values of a range to try: all, or of a long one the first two and the last."""
    wanted = kind.model_fields[name].annotation
    if wanted is float:
        yield from (span.low, *([span.low + span.step] if span.step else []), span.high)
    elif wanted is not int:
        yield Fault(f"{name}: is no number: give a list of its values")
    elif any(number is not None and number % 1 for number in (span.low, span.high, span.step)):
        yield Fault(f"{name}: low, high and step must be whole numbers")
    else:
        whole = range(int(span.low), int(span.high) + 1, int(span.step or 1))
        yield from whole if len(whole) <= MOST else (whole[0], whole[1], whole[-1])


def _tried(search: Search, given: Mapping[str, Any], name: str, value: Any) -> Any:
    """The value as the parameter has it, with every template the space names, or the Fault that says why not."""
    templates = search.space.get("template")
    for each in templates if isinstance(templates, list) and name != "template" else [given["template"]]:
        try:
            with_it = parameters({**given, "template": each, name: value}, "")
        except Fault as fault:
            return Fault(str(fault).removeprefix(": "))
    if name == "template" and with_it.type != template(given["template"]).type:
        return Fault(f"template: {value} is a {with_it.type}, and {given['template']} is none")
    return getattr(with_it, name)


def values_of(space: Mapping[str, Span | list[Any]], whole: Parameters) -> dict[str, Any] | None:
    """What a training has for the parameters of a space; None where one of them is not in it."""
    found = {name: getattr(whole, name) for name in space}
    return found if all(_holds(space[name], value) for name, value in found.items()) else None


def _holds(values: Span | list[Any], value: Any) -> bool:
    if isinstance(values, list):
        return value in values
    steps = (value - values.low) / values.step if values.step else 0.0
    return values.low <= value <= values.high and abs(steps - round(steps)) < 1e-9


def told(search: Search) -> str:
    """The space in one line."""
    spans = (
        f"{name} {v.low:g} to {v.high:g}{' (log)' * v.log}" if isinstance(v, Span) else f"{name} {listed(v)}"
        for name, v in search.space.items()
    )
    return "; ".join(itertools.islice(spans, 20))
