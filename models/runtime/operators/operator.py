"""What an operator is: checked parameters that can be called, with the types of what it takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

AS = {"frames": "regions"}  # what a type can be taken as: regions of frames, followed by their ids, are regions

Names = tuple[str, ...]
Fraction = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True)
class Port:
    """One input of a node.

    types: what it takes.  many: whether several outputs may be connected to it.  optional: whether none may.
    """

    types: tuple[str, ...]
    many: bool = False
    optional: bool = False

    def takes(self, given: str) -> bool:
        """Whether an output of that type fits."""
        return given in self.types or AS.get(given) in self.types


class Operator(BaseModel):
    """A fixed step of a workflow: its fields are its parameters, its docstring what it does, calling it is doing it.

    takes: its inputs by name, in order; it is called with them as keywords, one picture at a time (a port that takes
    many with a list).  gives: the type of what it answers, or the name of the input whose type that has.
    in_order: whether it follows one frame after the other: then it is called with `time_ms` as well, and `started`
    gives a new one for each video.  picks: whether of several pictures it gives only some, so that rows are others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    takes: ClassVar[dict[str, Port]]
    gives: ClassVar[str]
    in_order: ClassVar[bool] = False
    picks: ClassVar[bool] = False

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth(cls, given: Any, info: ValidationInfo) -> Any:
        """YAML reads `yes` as true, which pydantic would take as 1."""
        inner = given.values() if isinstance(given, dict) else given if isinstance(given, list | tuple) else (given,)
        wanted = cls.model_fields[str(info.field_name)].annotation
        if wanted is not bool and any(isinstance(each, bool) for each in inner):
            raise ValueError("yes, no, true and false are no value of it")
        return given

    def started(self) -> Callable[..., Any]:
        """What answers for one stream of pictures: itself, where it remembers nothing."""
        return self.__call__

    def __call__(self, *given: Any, **inputs: Any) -> Any:
        """The answer for one picture."""
        raise NotImplementedError

    def named(self) -> Names:
        """The concepts that its parameters name: each must be one that something before it can answer."""
        return ()

    def concepts(self, given: Mapping[str, Names]) -> Names:
        """What it can answer, from what each of its inputs can: by default all that they can, in order."""
        return tuple(dict.fromkeys(name for names in given.values() for name in names))

    def misfits(self, connected: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Why its wires do not fit its parameters or each other, a sentence each; none where they do.

        connected: for each port that something is connected to, of each output the node whose rows it counts: of
        images the one that made or picked these, of regions the one that their `parent` is a row of; empty without.
        """
        return ()


IMAGE = Port(("image",))
PICTURES = Port(("image", "images"))
REGIONS = Port(("regions",))
FOUND = Port(("concepts", "regions"))
