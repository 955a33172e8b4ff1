"""Which tensors of a network have rows that stand for one concept each, and how such rows go to another model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor


class Rows(NamedTuple):
    """How a tensor's first dimension is divided: groups × (before + concepts + after) × width.

    before, after: rows of each group that stand for no concept (background, padding), ahead of those that do and
    behind them.  width: rows a concept.  How many groups there are (anchors, say) follows from the tensor's length.
    """

    before: int = 0
    after: int = 0
    width: int = 1

    def grouped(self, tensor: Tensor, concepts: int) -> Tensor:
        """(groups, before + concepts + after, width, …): the same memory, so that rows can be written."""
        return tensor.view(-1, self.before + concepts + self.after, self.width, *tensor.shape[1:])


Layout = Mapping[str, Rows]


def carried_over(
    own: dict[str, Tensor], concepts: Sequence[str], stored: dict[str, Tensor], known: Sequence[str], layout: Layout
) -> dict[str, Tensor]:
    """The tensors of `stored` as a network for other concepts can take them.

    own: the network's own tensors, which keep what `stored` does not know.  concepts, known: the names that the rows
    of `own` and of `stored` stand for, in order; a concept in both keeps its rows, wherever they were.
    layout: of each tensor with a row a concept.  All else is taken where name and shape are the same.
    """
    taken = {
        name: tensor
        for name, tensor in stored.items()
        if name in own and name not in layout and own[name].shape == tensor.shape
    }
    here = [i for i, name in enumerate(concepts) if name in known]
    there = [known.index(concepts[i]) for i in here]
    for name in layout.keys() & stored.keys() & own.keys():
        rows, mixed, other = layout[name], own[name].clone(), stored[name]
        mine, theirs = rows.grouped(mixed, len(concepts)), rows.grouped(other.contiguous(), len(known))
        if mine.shape[0] != theirs.shape[0] or mine.shape[2:] != theirs.shape[2:]:
            continue
        first = rows.before
        mine[:, [first + i for i in here]] = theirs[:, [first + i for i in there]].to(mine)
        mine[:, :first] = theirs[:, :first]
        mine[:, first + len(concepts) :] = theirs[:, first + len(known) :]
        taken[name] = mixed
    return taken
