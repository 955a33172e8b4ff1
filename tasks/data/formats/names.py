"""What names say: the split that a folder or file is called after, and the concept that a text stands for."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

from models.runtime.faults import short
from tasks.data.annotations import sound

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def split_of_folder(name: str) -> str | None:
    """The split that a folder is called after: `validation` and `val2017` are val, `my-train` is none."""
    word = re.fullmatch(r"([a-z]+)[\d_-]*", name.casefold())
    return SPLIT_WORDS.get(word[1]) if word else None


def split_of_path(path: str) -> str | None:
    """The split of the first folder in a path that is called after one."""
    return next(filter(None, map(split_of_folder, path.split("/")[:-1])), None)


def split_of_file(name: str) -> str | None:
    """The one split that a file's name speaks of: `instances_val2017.json` is val. None for none or several."""
    found = {SPLIT_WORDS[word] for word in re.findall("[a-z]+", name.casefold()) if word in SPLIT_WORDS}
    return found.pop() if len(found) == 1 else None


def plain(value: dict[str, Any]) -> dict[str, Any]:
    """Metadata as JSON can hold it, for good: no NaN, half characters, bytes or sets; keys are texts.

    Raises ValueError or TypeError.
    """
    found = json.loads(json.dumps(value, allow_nan=False, ensure_ascii=False))
    if not sound(found):
        raise ValueError("half characters, or nested without end")
    return found


def readable(text: str) -> str:
    """A text that can be written as UTF-8: half characters, as file names and JSON may have them, spelled out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def concept(text: object) -> str:
    """A concept's name: NFC, white space at the ends off, and that within as single spaces.

    Two spellings of `é` are one concept, and a name survives every format. Raises ValueError with the reason.
    """
    if not isinstance(text, str):
        raise ValueError(f"no concept: {short(text)!r} is not a name")
    name = unicodedata.normalize("NFC", " ".join(text.split()))
    if not name:
        raise ValueError("no concept: it has no name")
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        raise ValueError(f"no concept: {short(name)!r} has a control character in it")
    return name
