"""The list of a folder's files, and its digest as DVC computes it: what a version is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from models.runtime.faults import listed


@dataclass(frozen=True, slots=True)
class Listing:
    """Which files a folder holds: `/`-separated path → md5 of its bytes, 32 hexadecimal digits."""

    files: Mapping[str, str]

    @classmethod
    def parse(cls, content: bytes) -> Listing:
        """A listing from a `.dir` object of DVC's cache. Raises ValueError or KeyError on anything else."""
        return cls({entry["relpath"]: entry["md5"] for entry in json.loads(content)})

    def content(self) -> bytes:
        """The `.dir` object, byte for byte as DVC writes it."""
        rows = [{"md5": md5, "relpath": path} for path, md5 in sorted(self.files.items())]
        return json.dumps(rows, sort_keys=True).encode()

    @property
    def digest(self) -> str:
        """The folder's version: the md5 of `content` with `.dir` behind it, as DVC names such objects."""
        return hashlib.md5(self.content(), usedforsecurity=False).hexdigest() + ".dir"

    def parts(self) -> dict[str, Listing]:
        """The listing of each folder directly below; files that lie beside them are under the name ''."""
        parts: dict[str, dict[str, str]] = {}
        for path, md5 in self.files.items():
            name, slash, rest = path.partition("/")
            parts.setdefault(name if slash else "", {})[rest if slash else path] = md5
        return {name: Listing(files) for name, files in parts.items()}

    def difference(self, was: Listing) -> str:
        """What became of `was`, for a person: `2 files changed (images/a.png, images/b.png), 1 missing`."""
        changed = [path for path, md5 in self.files.items() if was.files.get(path, md5) != md5]
        groups = {
            "changed": changed,
            "missing": was.files.keys() - self.files.keys(),
            "new": self.files.keys() - was.files.keys(),
        }
        said = []
        for what, paths in groups.items():
            if paths:
                said.append(f"{len(paths)} {what} ({listed(sorted(paths), 3)})")
        return ", ".join(said) or "nothing changed"


def together(parts: Mapping[str, Listing]) -> Listing:
    """One listing of folders side by side, the reverse of `Listing.parts`."""
    return Listing(
        {f"{name}/{path}".lstrip("/"): md5 for name, part in parts.items() for path, md5 in part.files.items()}
    )
