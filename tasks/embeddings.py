"""Pictures as a registered version embeds them: computed once for each picture and version, kept, and read again."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from models.runtime.faults import Fault
from tasks.answers import BATCH, in_our_words, predictor
from tasks.data.annotations import Annotation
from tasks.data.dataset import Dataset
from tasks.files import write
from tasks.page import log
from tasks.registry import Version, resolve
from tasks.workspace import state

CHUNK = 1024  # pictures whose vectors are written at a time: at most so many are computed twice after a kill
LONGEST = 8192  # numbers a vector may have when its grid is not asked for
MOST = 2**28  # numbers all vectors together may then have: 1 GB
GIVE = ("visual-embedder", "visual-classifier")


def embedder_of(reference: str) -> Version:
    """The version whose vectors are meant. Raises Fault when none is named, or it makes none."""
    if not reference:
        raise Fault("embedder: name the registered model whose vectors are learned from, as in roofs-classifier")
    version = resolve(reference)
    if version.type not in GIVE:
        raise Fault(f"embedder: {version} is a {version.type}. Vectors are made by a {' or a '.join(GIVE)}.")
    return version


def embeddings(
    version: Version, dataset: Dataset, annotations: Sequence[Annotation], mirrored: bool = False, grid: int = 1
) -> np.ndarray:
    """(N, D) float32, a row for each annotation: read where this version embedded that content before, else computed.

    mirrored, grid: as `Predictor.embed` takes them.
    Kept below `.sightline/embeddings/`, by the version's files and each picture's sha256: of a dataset's next version
    only the new pictures are computed.
    """
    folder = state() / "embeddings" / (version.logged_model + "-mirrored" * mirrored + f"-{grid}x{grid}" * (grid > 1))
    wanted = {entry.sha256: entry for entry in annotations}
    known = _kept(folder, wanted)
    missing = [entry for digest, entry in wanted.items() if digest not in known]
    if missing:
        log(f"embedding {len(missing)} pictures with {version}, {len(known)} were embedded before")
    for digests, vectors in _computed(version, dataset, missing, mirrored, grid):
        _keep(folder, digests, vectors)
        known |= dict(zip(digests, vectors, strict=True))
    return np.stack([known[entry.sha256] for entry in annotations])


def grid_of(version: Version, wanted: int, pictures: int) -> int:
    """Places a side: as many as are wanted; of 0, as many as leave the vectors of so many pictures short, 3 at most.

    Measured on `clothing` (docs/benchmarks.md): with 3 a linear head is right .06 to .12 more often than with 1, with
    ten pictures a concept too.  Raises Fault where more are wanted than the version tells apart.
    """
    if wanted == 1:
        return 1
    ready = predictor(version)
    older = "" if hasattr(ready, "finest_grid") else f"{version} was registered before models told places apart. "
    finest = 1 if older else ready.finest_grid
    if wanted > finest:
        raise Fault(
            f"grid: {version} tells {finest} × {finest} places of a picture apart at {ready.card.image_size} pixels, "
            f"got {wanted}. {older}Set grid: {finest}, or 0 to have it picked."
        )
    if older:
        log(f"{older}Whole pictures are learned from; trained again, it may tell places apart, which teach more.")
    if wanted or finest == 1:
        return wanted or 1
    size: Any = ready.network.head.in_features  # type: ignore[union-attr]
    longest = min(LONGEST, MOST // max(1, pictures))
    return max(side for side in range(1, 1 + min(3, finest)) if side == 1 or size * side**2 <= longest)


def _computed(version: Version, dataset: Dataset, missing: Sequence[Annotation], mirrored: bool, grid: int):
    """(digests, vectors (n, D) float32) of CHUNK pictures at a time, with the version's own code."""
    from rich.console import Console
    from rich.progress import track

    if not missing:
        return
    ready = predictor(version)
    if not hasattr(ready, "embed"):
        raise Fault(f"{version} was registered before models gave embeddings. Train it again.")
    read = sys.modules[type(ready).__module__].read
    how = (mirrored, grid) if grid > 1 else (mirrored,)  # the code of older versions knows no grid
    screen, rows = Console(stderr=True), []
    starts = range(0, len(missing), BATCH)
    watched = sys.stderr.isatty()
    for start in track(starts, f"embedding with {version}", console=screen, transient=True, disable=not watched):
        batch = missing[start : start + BATCH]
        with in_our_words(version):
            vectors = ready.embed([read(dataset.path(entry)) for entry in batch], *how)
        rows += list(zip([entry.sha256 for entry in batch], vectors, strict=True))
        if len(rows) >= CHUNK or start + BATCH >= len(missing):
            yield [digest for digest, _ in rows], np.stack([vector for _, vector in rows])
            rows = []


def _keep(folder: Path, digests: Sequence[str], vectors: np.ndarray) -> None:
    """One file, whole or not at all; its name is its content's, so that two processes do no harm."""
    names = np.array([list(bytes.fromhex(digest)) for digest in digests], np.uint8)
    content = save({"sha256": names, "vectors": np.ascontiguousarray(vectors, np.float32)})
    write(folder / f"{hashlib.sha256(content).hexdigest()[:32]}.safetensors", content)


def _kept(folder: Path, wanted: dict[str, Annotation]) -> dict[str, np.ndarray]:
    """The vectors that are there, by sha256; of each file only the rows wanted are held. A damaged file is none."""
    found: dict[str, np.ndarray] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="numpy") as file:
                names, vectors = file.get_tensor("sha256"), file.get_tensor("vectors")
        except Exception as error:
            log(f"{path}: cannot be read ({error}); its pictures are embedded again")
            path.unlink(missing_ok=True)
            continue
        for name, vector in zip(names, vectors, strict=True):
            if (digest := name.tobytes().hex()) in wanted:
                found[digest] = vector.copy()
    return found
