"""Older versions of a dataset, each in a folder of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from models.runtime.faults import Fault, listed, short
from tasks.data.dataset import inside, parse_head
from tasks.data.listing import Listing
from tasks.data.pointer import pointers_in_git, read_pointer
from tasks.data.repository import cached, content_of, fetch, listing_of, repository
from tasks.data.whole import unusable, whole
from tasks.workspace import root, state

if TYPE_CHECKING:
    from dvc.repo import Repo


def checkout(name: str, version: str, folder: Path | None = None) -> Path:
    """Bring a version of a dataset into a folder of its own; `data/` is not touched.

    version: `<md5>.dir`, or its first 6 characters and more.  folder: new or empty, outside `data/`;
    without it `.sightline/checkouts/<name>@<version>`. A folder that holds exactly this version is used again.
    Every file is checked against its md5. Raises Fault for an unknown or ambiguous version (with those
    that are known) and for files that are neither in the cache nor on the remote.
    """
    with repository() as repo:
        known = _in_git(name)
        if not any(digest.startswith(version) for digest in known):
            known |= _in_cache(repo, name)  # reads every listing there is, so only where it must
        digest = _expand(name, version, known)
        target = folder or state() / "checkouts" / f"{name}@{digest.removesuffix('.dir')}"
        if _taken(target):
            if (target / "dataset.yaml").is_file() and listing_of(repo, target).digest == digest:
                return target
            raise Fault(f"{target}: is there already and not {name}@{digest[:12]}. Remove it, or choose another.")
        listing = _listing(repo, name, digest, known[digest])
        fetch(repo, listing)
        _write_out(repo, listing, target.resolve())
    return target


def _taken(target: Path) -> bool:
    """Whether something is there already. Raises Fault where no checkout may go."""
    try:
        if target.resolve().is_relative_to((root() / "data").resolve()):
            raise Fault(f"{target}: lies in data/, which holds the current versions. Choose a folder outside.")
        return target.exists() and (not target.is_dir() or any(target.iterdir()))
    except OSError as error:
        raise unusable(error, target) from None
    except RuntimeError:  # Python's word for a link to itself
        raise Fault(f"{target}: a link that leads to itself. Choose another folder.") from None


def _in_git(name: str) -> dict[str, str]:
    """Versions of a dataset that data.dvc names or has named → the data version they were part of."""
    known: dict[str, str] = {}
    for pointer in (read_pointer(), *pointers_in_git()):
        if pointer.datasets and name in pointer.datasets:
            known.setdefault(pointer.datasets[name], pointer.data_version)
    return known


def _in_cache(repo: Repo, name: str) -> dict[str, str]:
    """Versions of a dataset whose own listing is in the cache → ''. What is damaged there is none."""
    known: dict[str, str] = {}
    for path in Path(repo.cache.local.path).glob("??/*.dir"):
        digest = path.parent.name + path.name
        listing = cached(repo, digest)
        try:
            head = Listing.parse(listing).files.get("dataset.yaml") if listing else None
            content = cached(repo, head) if head else None
            if content and parse_head(content, Path("dataset.yaml"))["name"] == name:
                known[digest] = ""
        except (Fault, ValueError, LookupError, TypeError):
            continue
    return known


def _expand(name: str, version: str, known: Collection[str]) -> str:
    """The one known version that starts so."""
    found = [digest for digest in known if digest.startswith(version)]
    if len(version) < 6:
        what = "is too short (6 characters or more)"
    elif len(found) == 1:
        return found[0]
    else:
        what = "is ambiguous" if found else "is not known here"
    raise Fault(
        f"{short(name)}@{short(version)}: this version {what}. "
        f"Known: {listed(sorted(digest[:12] for digest in known)) or 'none'}. "
        "Older ones come with git's history of data.dvc and a DVC remote that holds them."
    )


def _listing(repo: Repo, name: str, digest: str, whole: str) -> Listing:
    """A version's files: its own listing, or its part of the data version that git's history names."""
    own = content_of(repo, digest)
    if own is not None:
        return Listing.parse(own)
    content = content_of(repo, whole)
    part = Listing.parse(content).parts().get(name) if content is not None else None
    if part is None or part.digest != digest:
        raise Fault(
            f"{name}@{digest[:12]}: its files are neither in DVC's cache nor on a remote. "
            "`dvc fetch --all-commits` from where they were pushed to, then try again."
        )
    return part


def _write_out(repo: Repo, listing: Listing, target: Path) -> None:
    """Copy a version's files out of the cache, checked, into a folder that appears in one step."""
    with whole(target) as beside:
        for path, md5 in listing.files.items():
            if not inside(path):
                raise Fault(f"{short(path)!r}: a file of this version lies outside its folder. It was not made here.")
            source = Path(repo.cache.local.oid_to_path(md5))
            try:
                content = source.read_bytes()
            except FileNotFoundError:
                raise Fault(f"{path} ({md5}): neither in DVC's cache nor on a remote. `dvc fetch` it first.") from None
            if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
                raise Fault(f"{source}: damaged, its md5 differs. Remove it and `dvc fetch` it again.")
            (beside / path).parent.mkdir(parents=True, exist_ok=True)
            (beside / path).write_bytes(content)
