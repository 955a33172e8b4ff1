"""The demo's pictures: scikit-learn's handwritten digits in composed scenes, and single ones in class folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from tasks.data.scenery import HEIGHT, WIDTH, Ink, bitmap, clutter, curve, digit, duotone, ground, lay, pick, tone_on

SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}  # of the scans
SCENES = {"train": 1200, "val": 60, "test": 160}
SINGLE = 32  # pixels a side of a digit on paper
TRIES = 40


class Scan(NamedTuple):
    """One handwritten digit: its number in scikit-learn's set, what it says, 64 bytes of 0 to 16."""

    number: int
    says: int
    pixels: bytes


class Placed(NamedTuple):
    """A digit in a scene: xyxy box in pixels (edges, so that width is x1 - x0) around its ink."""

    scan: Scan
    box: tuple[int, int, int, int]


class Scene(NamedTuple):
    """A picture as (HEIGHT, WIDTH) uint8 grey values with the palette that tints them, and the digits in it."""

    grey: np.ndarray
    tint: bytes
    placed: list[Placed]


def compose(folder: Path, seed: int = 0) -> None:
    """Write `scenes/` (Pascal VOC) and `digits/{train,val,test}/<0-9>/` below `folder`.

    digits: each scan on paper (`<scan>.bmp`); to learn from, digits cut out of the scenes too (`<scene>_<i>.bmp`).
    No scan is in two splits, and each is in at least one scene of its own. The seed changes all of it: which
    scan is in which split, and every scene. The same seed gives the same bytes on every machine.
    """
    splits = deal(seed)
    for split, scans in splits.items():
        _write_singles(folder / "digits" / split, scans, Random(f"{seed}/{split}/singles"))
        scenes = _scenes(split, scans, seed)
        _write_scenes(folder / "scenes", split, scenes)
        if split != "test":  # the test is of digits on paper; on those of the test scenes, benchmarks/reading.py
            _write_cuts(folder / "digits" / split, scenes, Random(f"{seed}/{split}/cuts"))


def deal(seed: int) -> dict[str, list[Scan]]:
    """The 1,797 scans by split, every digit in the same shares."""
    random = Random(f"{seed}/deal")
    images, says = load_digits(return_X_y=True)
    scans = [
        Scan(i, int(s), image.astype(np.uint8).tobytes()) for i, (image, s) in enumerate(zip(images, says, strict=True))
    ]
    splits: dict[str, list[Scan]] = {split: [] for split in SHARES}
    for says_one in range(10):
        same = _shuffled([scan for scan in scans if scan.says == says_one], random)
        first, second = round(len(same) * SHARES["train"]), round(len(same) * (1 - SHARES["test"]))
        splits["train"] += same[:first]
        splits["val"] += same[first:second]
        splits["test"] += same[second:]
    return splits


def _shuffled(scans: list[Scan], random: Random) -> list[Scan]:
    return [scan for _, scan in sorted((random.random(), scan) for scan in scans)]


def _write_singles(folder: Path, scans: list[Scan], random: Random) -> None:
    """Each scan alone, dark on paper of some shade, enlarged as a whole so that its place in the frame stays."""
    ink = curve(60, 230)
    for scan in scans:
        small = np.frombuffer(scan.pixels, np.uint8).reshape(8, 8).astype(np.int32) * 255 // 16
        image = Image.fromarray(small.astype(np.uint8)).resize((SINGLE, SINGLE), Image.Resampling.BICUBIC)
        path = folder / str(scan.says) / f"{scan.number:04d}.bmp"
        path.parent.mkdir(parents=True, exist_ok=True)
        paper = pick(random, 205, 255)
        path.write_bytes(bitmap((paper - ink[np.asarray(image)].astype(np.int32) * paper // 255).astype(np.uint8)))


def _scenes(split: str, scans: list[Scan], seed: int) -> dict[str, Scene]:
    """A split's scenes by name."""
    random = Random(f"{seed}/{split}")
    deck = _deck(scans, random)
    return {f"{split}_{i:04d}": scene(split, deck, random) for i in range(SCENES[split])}


def _write_scenes(folder: Path, split: str, scenes: dict[str, Scene]) -> None:
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, (grey, tint, placed) in scenes.items():
        (folder / "JPEGImages" / f"{name}.bmp").write_bytes(bitmap(grey, tint))
        (folder / "Annotations" / f"{name}.xml").write_text(_voc(f"{name}.bmp", placed), encoding="utf-8")
    (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("".join(f"{name}\n" for name in scenes))


def _write_cuts(folder: Path, scenes: dict[str, Scene], random: Random) -> None:
    """Digits as a detector hands them on: a square around each, about as large, cut off at the scene's edge."""
    for name, (grey, tint, placed) in scenes.items():
        for i, (scan, (x0, y0, x1, y1)) in enumerate(placed):
            longer = max(x1 - x0, y1 - y0)
            side = longer * pick(random, 100, 140) // 100
            left = (x0 + x1 - side) // 2 + longer * pick(random, -10, 10) // 100
            top = (y0 + y1 - side) // 2 + longer * pick(random, -10, 10) // 100
            cut = grey[max(top, 0) : top + side, max(left, 0) : left + side]
            (folder / str(scan.says) / f"{name}_{i}.bmp").write_bytes(bitmap(cut, tint))


def _deck(scans: list[Scan], random: Random) -> Iterator[Scan]:
    """Scans without end, each again only after all others."""
    while True:
        yield from _shuffled(scans, random)


def scene(split: str, deck: Iterator[Scan], random: Random) -> Scene:
    """One scene, with 2 to 8 digits in it."""
    grey = ground(split, random)
    for _ in range(pick(random, 1, 5)):
        drawn = clutter(random)
        x = pick(random, -drawn.size[0] // 2, WIDTH - drawn.size[0] // 2)
        y = pick(random, -drawn.size[1] // 2, HEIGHT - drawn.size[1] // 2)
        under = grey[max(y, 0) : max(y, 0) + drawn.size[1], max(x, 0) : max(x, 0) + drawn.size[0]]
        lay(grey, drawn, x, y, tone_on(under, random))
    placed: list[Placed] = []
    for _ in range(max(pick(random, 2, 8), pick(random, 2, 8))):  # rather many: empty ground costs time, teaches little
        scan = next(deck)
        drawn, x, y = _room(scan, placed, random)
        box = (x, y, x + drawn.size[0], y + drawn.size[1])
        lay(grey, drawn, x, y, tone_on(grey[box[1] : box[3], box[0] : box[2]], random))
        placed.append(Placed(scan, box))
    return Scene(grey.astype(np.uint8), duotone(random), placed)


def _room(scan: Scan, placed: list[Placed], random: Random) -> tuple[Ink, int, int]:
    """The digit drawn at some height, and where it hardly touches another: smaller after every try in vain."""
    tallest = 80
    while True:
        drawn = digit(scan.pixels, pick(random, 22, tallest), random)
        for _ in range(TRIES):
            x, y = pick(random, 2, WIDTH - 2 - drawn.size[0]), pick(random, 2, HEIGHT - 2 - drawn.size[1])
            box = (x, y, x + drawn.size[0], y + drawn.size[1])
            if all(_shared(box, other.box) * 20 <= min(_area(box), _area(other.box)) for other in placed):
                return drawn, x, y
        tallest = max(22, tallest - 10)


def _area(box: tuple[int, int, int, int]) -> int:
    return max(0, box[2] - box[0]) * max(0, box[3] - box[1])


def _shared(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> int:
    return _area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))


def _voc(filename: str, placed: list[Placed]) -> str:
    """A scene's Pascal VOC file; `scan` in each object is the scan's number."""
    objects = "".join(
        f"  <object>\n    <name>{scan.says}</name>\n    <scan>{scan.number}</scan>\n"
        f"    <truncated>0</truncated>\n    <difficult>0</difficult>\n    <bndbox>"
        f"<xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax>"
        "</bndbox>\n  </object>\n"
        for scan, box in placed
    )
    return (
        f"<annotation>\n  <folder>JPEGImages</folder>\n  <filename>{filename}</filename>\n"
        f"  <size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>\n"
        f"{objects}</annotation>\n"
    )
