"""What holds for every operator: parameters with defaults, ranges and help; ports that fit; empty stays in shape."""

import inspect
import typing

import annotated_types
import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from models.runtime.operators import OPERATORS
from models.runtime.operators.findings import Colors, Counts, Text
from models.runtime.operators.operator import Operator, Port
from models.runtime.operators.views import View, Views
from models.runtime.predictions import Clusters, Concepts, Regions

NAMES = ("hail", "wind")
TYPES = {"image", "images", "concepts", "regions", "frames", "embeddings", "clusters", "count", "colors", "text"}
RANGES = annotated_types.Interval | annotated_types.Ge | annotated_types.Gt | annotated_types.Le | annotated_types.Lt
LONG = annotated_types.MinLen | annotated_types.MaxLen | annotated_types.Len
TOGETHER = {("line-counter", "line")}  # whose values are held against each other's, by a validator
FIELDS = [(name, field) for name, kind in OPERATORS.items() for field in kind.model_fields]
every = pytest.mark.parametrize("kind", OPERATORS.values(), ids=OPERATORS)


@every
def test_an_operator_says_what_it_does_and_works_without_parameters(kind):
    assert issubclass(kind, Operator)
    assert kind.__doc__.splitlines()[0].rstrip().endswith(".")
    assert kind.__doc__ != Operator.__doc__
    assert kind() == kind()


@every
def test_ports_are_what_it_is_called_with(kind):
    called = inspect.signature(kind.__call__ if "__call__" in vars(kind) else kind().started()).parameters
    given = [name for name in called if name not in ("self", "time_ms")]
    assert given == list(kind.takes)
    assert ("time_ms" in called) == kind.in_order
    for name, port in kind.takes.items():
        assert isinstance(port, Port)
        assert port.types and set(port.types) <= TYPES
        assert (called[name].default is None) == port.optional
    assert kind.gives in {*TYPES, *kind.takes}


def bounded(annotation, metadata):
    """Whether what a field takes is limited: by a choice, a range, a length or a pattern, also inside a collection."""
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is bool or origin is typing.Literal:
        return True
    if any(isinstance(each, RANGES | LONG) or getattr(each, "pattern", None) for each in metadata):
        return True
    if any(isinstance(each, FieldInfo) and bounded(each.annotation, each.metadata) for each in metadata):
        return True
    if origin is typing.Annotated:
        return bounded(inside[0], inside[1:])
    return bool(inside) and any(bounded(each, ()) for each in inside if each not in (str, ..., type(None)))


@pytest.mark.parametrize(("name", "field"), FIELDS, ids=[".".join(each) for each in FIELDS])
def test_each_parameter_has_a_default_a_range_and_help(name, field):
    info = OPERATORS[name].model_fields[field]
    assert not info.is_required()
    assert info.description and len(info.description) > 15 and info.description.endswith(".")
    if (name, field) not in TOGETHER and not bounded(info.annotation, info.metadata):
        word = "hail"  # then it is of concepts' names, which a workflow holds against those that it has
        given = {word: "wind"} if typing.get_origin(info.annotation) is dict else [word]
        assert OPERATORS[name](**{field: given}).named() == (word,)


@pytest.mark.parametrize(("name", "field"), FIELDS, ids=[".".join(each) for each in FIELDS])
def test_what_is_out_of_range_or_nonsense_is_refused(name, field):
    info = OPERATORS[name].model_fields[field]
    nonsense = [object(), float("nan"), "no such thing at all" * 10]
    for limit in info.metadata:
        for bound, away in (("ge", -1), ("gt", 0), ("le", 1), ("lt", 0)):
            if getattr(limit, bound, None) is not None:
                nonsense.append(getattr(limit, bound) + away)
    for value in nonsense:
        with pytest.raises(ValidationError, match=rf"1 validation error for \w+\n{field}"):
            OPERATORS[name](**{field: value})


@pytest.mark.parametrize(
    ("name", "field"), [each for each in FIELDS if OPERATORS[each[0]].model_fields[each[1]].annotation is not bool]
)
def test_yes_is_no_number(name, field):
    """As YAML reads `threshold: yes`, which would be 1."""
    for value in (True, [True], {"a": False}):
        with pytest.raises(ValidationError, match=rf"1 validation error for \w+\n{field}\n.*are no value of it"):
            OPERATORS[name](**{field: value})


@every
def test_unknown_parameters_are_refused_and_known_ones_stay(kind):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        kind(no_such_parameter=1)
    for field in kind.model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(kind(), field, getattr(kind(), field))


@every
def test_parameters_can_be_written_down_and_read_again(kind):
    assert kind.model_validate_json(kind().model_dump_json()) == kind()
    assert kind.model_json_schema()["properties" if kind.model_fields else "type"]


EMPTY = Regions(
    np.zeros((0, 4)),
    np.zeros(0, np.float32),
    np.zeros(0, np.int64),
    NAMES,
    {
        "parent": np.zeros(0, np.int64),
        "track_id": np.zeros(0, np.int64),
        "concept_scores": np.zeros((0, 2), np.float32),
        "embedding": np.zeros((0, 3), np.float32),
        "color": np.zeros(0, "<U20"),
    },
)
PICTURE = View.whole(Image.new("RGB", (50, 30), "#345678"))
GIVEN = {
    "image": PICTURE,
    "images": Views((), EMPTY),
    "regions": EMPTY,
    "frames": EMPTY,
    "concepts": Concepts(np.zeros(2, np.float32), NAMES),
    "clusters": Clusters(np.ones(2, np.float32)),
    "count": Counts(np.zeros(2, np.int64), NAMES),
    "colors": Colors((), (), np.zeros(0, np.float32)),
    "text": Text(""),
}


def calls():
    """Each operator with each type that its ports can have, those of several ports together."""
    for name, kind in OPERATORS.items():
        for which in range(max(len(port.types) for port in kind.takes.values())):
            types = {port: where.types[min(which, len(where.types) - 1)] for port, where in kind.takes.items()}
            yield pytest.param(kind, types, id=f"{name}-{'-'.join(types.values())}")


@pytest.mark.parametrize(("kind", "types"), list(calls()))
def test_nothing_found_stays_in_shape(kind, types):
    inputs = {
        port: [GIVEN[type], GIVEN[type]] if kind.takes[port].many else GIVEN[type] for port, type in types.items()
    }
    time = {"time_ms": 0.0} if kind.in_order else {}
    answer = kind().started()(**inputs, **time)
    known = kind().concepts({port: NAMES if type != "image" else () for port, type in types.items()})
    gives = types.get(kind.gives, kind.gives)
    assert answer.name == {"frames": "regions"}.get(gives, gives)
    assert isinstance(answer, View | Views | Regions | Concepts | Clusters | Counts | Colors | Text)
    found = answer.regions if isinstance(answer, Views) else answer
    if isinstance(found, Regions) and known != ("tile",):
        assert (found.boxes.shape, found.concepts) == ((0, 4), NAMES)
        for column, values in found.more.items():
            before = EMPTY.more.get(column, values)
            assert (values.shape, values.dtype) == (before.shape, before.dtype), column
    if isinstance(found, Concepts | Counts):
        assert found.concepts == known
        assert set(NAMES) <= set(known) or kind.in_order
        assert not np.asarray(found.scores if isinstance(found, Concepts) else found.counts).any()


def test_operators_are_known_by_names_of_their_own():
    assert len(set(OPERATORS.values())) == len(OPERATORS)
    assert all(name == name.lower() and " " not in name and "_" not in name for name in OPERATORS)
