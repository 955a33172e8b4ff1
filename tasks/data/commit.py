"""A new version of a dataset: recorded without losing any other, wherever those are.

Why not plain `dvc add data`: it records what is on disk, so that in a fresh clone, where nothing is, ingesting
one dataset would drop the others from data.dvc. Here a new data version is made of listings instead of
folders: the new one of the dataset that changed and the old ones of all others, wherever they are found (the
cache, the remote, or the folder on disk if it still has the digest that data.dvc names). A listing found
nowhere means that what the new version would have to say is unknown, and then:

- The dataset has the very digest that data.dvc names for it: data.dvc is right already, nothing is written.
  So a fresh clone rebuilds the committed datasets one by one, in any order, and ends with the same file.
- Otherwise it is refused, with the names of what is missing; `forget` allows data.dvc to drop them.

Files enter the cache first (`stage`); then `data/` and data.dvc change, one right after the other (`point`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from models.runtime.faults import Fault
from tasks.data.dataset import folder_of
from tasks.data.listing import Listing, together
from tasks.data.pointer import NAME, Pointer, path, prepared, read_pointer
from tasks.data.repository import content_of, listing_of, put, repository, store
from tasks.data.version import digests, listings, named_in

if TYPE_CHECKING:
    from dvc.repo import Repo


@dataclass(frozen=True, slots=True)
class Versions:
    """What a commit answers: `<md5>.dir` each."""

    dataset_version: str
    data_version: str


@dataclass(frozen=True, slots=True)
class Staged:
    """A version whose files are in the cache, and that data.dvc does not name yet.

    before, after: data.dvc as it was and as it will be.
    """

    versions: Versions
    before: Pointer
    after: Pointer


def commit(name: str, forget: Collection[str] = ()) -> Versions:
    """Record `data/<name>/` as it is on disk as its new version. Raises what `stage` and `point` raise."""
    return point(stage(name, forget=forget))


def recordable(name: str, forget: Collection[str] = ()) -> None:
    """Raises Fault now where a dataset's first version could not be recorded in the end: before an hour of ingest.

    Of a dataset that data.dvc names this is known only when its files are: they may be the very ones it names.
    """
    with repository() as repo:
        pointer = read_pointer()
        parts = listings(repo, pointer)
        if name not in parts:
            _may_be_lost(name, pointer, sorted({part for part, found in parts.items() if found is None} - set(forget)))


def stage(name: str, folder: Path | None = None, forget: Collection[str] = ()) -> Staged:
    """Put a dataset's files into the cache and work out what data.dvc will have to say.

    folder: where the files are, if not yet in `data/<name>/`.  forget: datasets that data.dvc may drop if
    nothing here nor on the remote knows their files any more; those that are known stay.
    Raises Fault when other datasets' files are unknown and not to be forgotten, and when this one is to
    change although its earlier version, which says in which split each image is, is unknown.
    """
    with repository() as repo:
        before = read_pointer()
        listing = store(repo, folder or folder_of(name))
        parts = listings(repo, before)
        if None in parts.values() and named_in(repo, before).get(name) == listing.digest:
            return Staged(Versions(listing.digest, before.data_version), before, before)
        if name not in forget and not _splits_known(repo, name, parts):
            _refuse_without_splits(name, before)
        lost = {part for part, found in parts.items() if found is None and part != name}
        _may_be_lost(name, before, sorted(lost.difference(forget)))
        kept = {part: found for part, found in parts.items() if found and part != name}
        after = _pointer(repo, before, kept | {name: listing})
    return Staged(Versions(listing.digest, after.data_version), before, after)


def point(staged: Staged, arrive: Callable[[], None] | None = None) -> Versions:
    """Let data.dvc name a staged version.

    arrive: puts the files into `data/`. It is called at the last moment: only a kill between its last
    system call and the next one leaves `data/` new and data.dvc old, and the next ingest heals that.
    Raises Fault when something else changed data.dvc in the meantime.
    """
    if read_pointer() != staged.before:
        raise Fault(f"{NAME} was changed while this ran (by another dvc or git command). Run it again.")
    changed = staged.after != staged.before
    with prepared(staged.after) as beside:
        if arrive:
            arrive()
        if changed:
            beside.replace(path())
    return staged.versions


def _splits_known(repo: Repo, name: str, parts: Mapping[str, Listing | None]) -> bool:
    """Whether the version that data.dvc names, if it names one, could say in which split each image is.

    A folder on disk says it only where it is that version: after a `git pull` it may be an older one.
    """
    part = parts.get(name)
    if name not in parts:
        return True
    annotations = part.files.get("annotations.jsonl") if part else None
    if part is None or annotations is None:
        return False
    folder = folder_of(name)
    return content_of(repo, annotations) is not None or (folder.is_dir() and listing_of(repo, folder) == part)


def _refuse_without_splits(name: str, pointer: Pointer) -> NoReturn:
    """Raises Fault: the new version could not keep the splits of the one that data.dvc names."""
    raise Fault(
        f"a new version of {name} cannot be recorded: {NAME} names its version "
        f"{(pointer.datasets or {}).get(name, '?')[:12]}, whose files are neither on disk, nor in DVC's cache, nor on "
        "a remote, and they alone say which images are for testing. `dvc pull` them first from where they were pushed "
        f"to. Where they are lost for good, `--forget {name}` divides the images anew: then test images may become "
        "training images."
    )


def _may_be_lost(name: str, pointer: Pointer, lost: list[str]) -> None:
    """Refuse to write a data.dvc that would drop datasets whose files nobody knows."""
    if not lost:
        return
    names = ", ".join(f"{other} ({(pointer.datasets or {}).get(other, '?')[:12]})" for other in lost)
    raise Fault(
        f"a new version of {name} cannot be recorded: {NAME} also names {names}, whose files are neither on disk, "
        f"nor in DVC's cache, nor on a remote. `dvc pull` them from where they were pushed to, or build them "
        f"again (`make demo` makes digits and digit-scenes), or let {NAME} drop them from here on: "
        f"--forget {','.join(lost)}. Git's history keeps naming them."
    )


def _pointer(repo: Repo, before: Pointer, parts: dict[str, Listing]) -> Pointer:
    """The pointer to these folders together; their common listing goes into the cache."""
    whole = together(parts)
    put(repo, whole)
    cached = [Path(repo.cache.local.oid_to_path(md5)) for md5 in whole.files.values()]
    sizes = [file.stat().st_size if file.exists() else None for file in cached]
    size = None if None in sizes else sum(filter(None, sizes))
    return before.moved(whole.digest, digests(parts), len(whole.files), size)
