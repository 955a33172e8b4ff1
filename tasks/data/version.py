"""Versions of data: what data.dvc names, what lies on disk, and whether they agree.

A dataset version is the DVC digest of `data/<dataset>/` alone, the data version that of all of `data/`.
Both are digests of a list of (path, md5), a `.dir` object (listing.py); `data.dvc` names both (pointer.py).
New ones are made in commit.py, older ones brought back by checkout.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from models.runtime.faults import Fault, choices, short
from tasks.data.dataset import folder_of
from tasks.data.listing import Listing
from tasks.data.pointer import NAME, Pointer, read_pointer
from tasks.data.repository import content_of, listing_of, repository

if TYPE_CHECKING:
    from dvc.repo import Repo


def versions() -> dict[str, str]:
    """Each dataset that data.dvc names, with its version; by name. Empty when there is no data.dvc.

    DVC is asked only when data.dvc was changed by other hands than ours.
    Raises Fault when it was and its listing is nowhere.
    """
    pointer = read_pointer()
    if pointer.datasets is not None:
        return dict(pointer.datasets)
    with repository() as repo:
        return named_in(repo, pointer)


def dataset_version(name: str) -> str:
    """The version of a dataset that data.dvc names. Raises Fault with the names there are."""
    known = versions()
    if name not in known:
        raise Fault(
            f"{NAME} names no dataset {short(name)!r}. {choices(name, known)} "
            f"`sightline ingest SOURCE --dataset {short(name)}` makes its first version."
        )
    return known[name]


def folder_version(folder: Path) -> str:
    """The version that a folder on disk is, wherever it lies; it need not be one that is known."""
    with repository() as repo:
        return listing_of(repo, folder).digest


def verify(name: str) -> str:
    """The dataset's version, after checking that `data/<name>/` is exactly that, file by file.

    DVC hashes what changed since it last looked (by inode, size and time). Raises Fault that names the files.
    """
    version = dataset_version(name)
    folder = folder_of(name)
    if not folder.is_dir():
        raise Fault(f"{folder}: not on disk. `sightline ingest` makes it, `dvc pull` brings it from a remote.")
    with repository() as repo:
        found = listing_of(repo, folder)
        if found.digest == version:
            return version
        was = listings(repo, read_pointer()).get(name)
    raise Fault(
        f"data/{name} is not what {NAME} names: {found.difference(was) if was else found.digest}. "
        f"`dvc checkout data/{name}` brings that version back; `sightline ingest` again makes a new one."
    )


def recorded(name: str, file: str) -> bytes | None:
    """A file of a dataset (`annotations.jsonl`) as of the version that data.dvc names.

    From the cache or the remote; None when data.dvc does not name the dataset or the file is in neither.
    """
    pointer = read_pointer()
    if pointer.datasets is not None and name not in pointer.datasets:
        return None
    with repository() as repo:
        part = listings(repo, pointer).get(name)
        return content_of(repo, part.files[file]) if part and file in part.files else None


def listings(repo: Repo, pointer: Pointer) -> dict[str, Listing | None]:
    """The listing of each folder that a pointer names, None where it is nowhere to be found."""
    if not pointer.data_version:
        return {}
    whole = content_of(repo, pointer.data_version)
    if whole is not None:
        return dict(Listing.parse(whole).parts())
    if pointer.datasets is None:
        raise Fault(
            f"{NAME} names {pointer.data_version}, which is neither in DVC's cache nor on a remote. "
            f"`dvc pull` it from where it was pushed to, or `git checkout {NAME}`."
        )
    return {name: _part(repo, name, digest) for name, digest in pointer.datasets.items()}


def _part(repo: Repo, name: str, digest: str) -> Listing | None:
    content = content_of(repo, digest)
    if content is not None:
        return Listing.parse(content)
    folder = folder_of(name)
    listing = listing_of(repo, folder) if folder.is_dir() else None
    return listing if listing and listing.digest == digest else None


def named_in(repo: Repo, pointer: Pointer) -> dict[str, str]:
    """The datasets a pointer names, from the listing where it does not say so itself."""
    if pointer.datasets is not None:
        return pointer.datasets
    return digests({name: part for name, part in listings(repo, pointer).items() if part})


def digests(parts: Mapping[str, Listing]) -> dict[str, str]:
    """The versions of those folders that are datasets, by name."""
    return {name: part.digest for name, part in parts.items() if "dataset.yaml" in part.files and name}
