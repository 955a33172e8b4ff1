"""DVC's repository, cache and remote: files in, files out, by digest.

Files enter DVC's cache as copies or reflinks, never as links: no file in `data/` is a door into the cache.
DVC is called in this process: that takes 0.7 s to start and 2 s for 10,000 files of 10 kB (`dvc add`: 3.8 s).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from models.runtime.faults import Fault
from tasks.data.listing import Listing
from tasks.files import disk_told, room_for, write
from tasks.workspace import root, settle, state

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB
    from dvc_data.hashfile.hash_info import HashInfo

CONFIG = '[core]\n    analytics = false\n    check_update = false\n{}[cache]\n    type = "reflink,copy"\n'
IGNORED = "# An ingest under way, or one that was killed, leaves these beside a dataset. They are not data.\n/data/.*\n"
HALF = "??/.*.tmp"  # what DVC leaves in its cache of a file that it could not copy whole


@contextmanager
def repository() -> Iterator[Repo]:
    """The DVC repository at the root, made if there is none. DVC's errors, and the disk's, come out as Fault."""
    settle()
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.CRITICAL)
    logging.getLogger("dvc_data").setLevel(logging.CRITICAL)
    # Hashes that DVC remembers go below .sightline, not into /var/tmp as is its habit. Nothing here needs git.
    hashes = str(state() / "dvc")
    here = {"core": {"site_cache_dir": hashes, "no_scm": True}}
    try:
        with disk_told(root()):
            _initialise(root())
            with closing(Repo(str(root()), config=here, _wait_for_lock=True)) as repo:
                _stay_inside(repo, hashes)
                yield repo
    except DvcException as error:
        raise Fault(f"DVC: {error}") from error


def _initialise(folder: Path) -> None:
    """What `dvc init` makes, silent and without its `git add`; a clone has it already."""
    config = folder / ".dvc" / "config"
    if config.exists():
        return
    if not (folder / ".dvcignore").exists():
        write(folder / ".dvcignore", IGNORED)
    write(config.parent / ".gitignore", "/config.local\n/tmp\n/cache\n")
    write(config, CONFIG.format("" if (folder / ".git").exists() else "    no_scm = true\n"))


def _stay_inside(repo: Repo, folder: str) -> None:
    """Let a `dvc` typed by hand remember its hashes in the same place: in .dvc/config.local, which git ignores."""
    said = repo.config.load_one("local").get("core", {}).get("site_cache_dir", "/.sightline/dvc")
    if said != folder and said.endswith("/.sightline/dvc"):  # not said yet, or this clone was moved
        with repo.config.edit("local") as config:
            config["core"]["site_cache_dir"] = folder


def listing_of(repo: Repo, folder: Path) -> Listing:
    """The files of a folder on disk, hashed by DVC."""
    return _build(repo, folder, dry=True)[0]


def store(repo: Repo, folder: Path) -> Listing:
    """Copy a folder's files and its listing into the cache. Raises Fault when one cannot be copied."""
    from dvc_data.hashfile.transfer import transfer

    listing, staging, info = _build(repo, folder, dry=False)
    lacking = {md5: folder / path for path, md5 in listing.files.items() if not repo.cache.local.exists(md5)}
    cache = Path(repo.cache.local.path)
    cache.mkdir(parents=True, exist_ok=True)
    room_for(lacking.values(), cache)
    others = set(cache.glob(HALF))
    try:
        failed = transfer(staging, repo.cache.local, {info}, shallow=False, hardlink=False).failed
        if failed:
            raise Fault(f"{folder}: {len(failed)} files could not be copied into {cache} (disk full?)")
    except BaseException:  # and only then: what a fetch beside this one has under way is called so too
        for half in set(cache.glob(HALF)) - others:
            half.unlink(missing_ok=True)
        raise
    return listing


def _build(repo: Repo, folder: Path, dry: bool) -> tuple[Listing, HashFileDB, HashInfo]:
    from dvc.fs import localfs
    from dvc_data.hashfile.build import IgnoreInCollectedDirError, build
    from dvc_data.hashfile.tree import Tree

    # .dvcignore leaves out `data/.*`, which is where a new dataset stands before the swap.
    ignore = repo.dvcignore if folder.parent == root() / "data" and folder.name[0] != "." else None
    try:
        staging, _, tree = build(repo.cache.local, str(folder), localfs, "md5", dry_run=dry, ignore=ignore)
    except IgnoreInCollectedDirError:
        raise Fault(f"{folder}: there is a .dvcignore in it, which DVC refuses there. Remove it.") from None
    assert isinstance(tree, Tree)
    files = {"/".join(key): info.value for key, _, info in tree}
    return Listing(files), staging, tree.hash_info


def put(repo: Repo, listing: Listing) -> None:
    """Put a listing into the cache, as the `.dir` object that DVC knows it by."""
    from dvc_objects.fs import MemoryFileSystem

    memory, path = MemoryFileSystem(), f"memory://{listing.digest}"
    memory.pipe_file(path, listing.content())
    repo.cache.local.add(path, memory, listing.digest, hardlink=False)
    memory.rm_file(path)


def content_of(repo: Repo, digest: str) -> bytes | None:
    """The content of that digest, whole: from the cache, else from the remote (a listing is then kept).

    Raises Fault when there is a remote and it does not answer: that says nothing about what it holds.
    """
    found = cached(repo, digest)
    remote = _remote(repo) if found is None else None
    if found is not None or remote is None:
        return found
    try:
        fetched = _read(remote, digest)
    except Exception as error:  # each kind of remote has errors of its own
        raise Fault(f"DVC remote {repo.config['core']['remote']!r} does not answer ({error})") from error
    if fetched is not None and digest.endswith(".dir"):
        put(repo, Listing.parse(fetched))
    return fetched


def cached(repo: Repo, digest: str) -> bytes | None:
    """The content of that digest from the cache alone; None when it is not there, or damaged."""
    return _read(repo.cache.local, digest)


def _read(store: HashFileDB, digest: str) -> bytes | None:
    """None when it is not there, or damaged."""
    try:
        content: bytes = store.fs.cat_file(store.oid_to_path(digest))
    except FileNotFoundError:
        return None
    whole = hashlib.md5(content, usedforsecurity=False).hexdigest() == digest.removesuffix(".dir")
    return content if whole else None


def _remote(repo: Repo) -> HashFileDB | None:
    """The default remote (`dvc remote default`), None without one."""
    return repo.cloud.get_remote_odb() if repo.config["core"].get("remote") else None


def fetch(repo: Repo, listing: Listing) -> None:
    """Bring what the cache lacks of these files from the remote, if there is one."""
    from dvc_data.hashfile.hash_info import HashInfo

    cache = repo.cache.local
    missing = {md5 for md5 in listing.files.values() if not cache.exists(md5)}
    if missing and _remote(repo):
        repo.cloud.pull([HashInfo("md5", md5) for md5 in missing])
