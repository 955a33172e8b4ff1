"""The workflows that come along run on the demo's digits, pictures and videos; how well, the models decide."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import av
import pytest
from PIL import Image
from torch import nn

from models.runtime.faults import Fault
from models.runtime.images import decode
from tasks.data import digits, formats
from tasks.data.annotations import Annotation
from tasks.data.store import heading
from tasks.data.video_writer import Writer
from tasks.plan import PinnedDataset
from tasks.workflows import job_of
from tests.chained import lines
from tests.registered import answered, champion, lively, planned

WORKFLOWS = Path(__file__).resolve().parents[1] / "workflows"
FEW = {"train": 4, "val": 2, "test": 3}


def dataset(source: Path, folder: Path, task: str, most: int) -> PinnedDataset:
    """A few of the composed pictures as a dataset on disk."""
    read = formats.read(source)
    entries: list[Annotation] = []
    seen: Counter[tuple] = Counter()
    (folder / "images").mkdir(parents=True)
    for one in read.images:
        seen[one.split, one.concepts] += 1
        if seen[one.split, one.concepts] > most:
            continue
        size, name = decode(one.file).size, one.name.replace("/", "-")
        (folder / "images" / name).write_bytes(one.file.read_bytes())
        areas = tuple((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in one.boxes)
        columns = (one.boxes, areas, one.box_concepts, one.crowd, one.difficult)
        sha256 = hashlib.sha256(one.file.read_bytes()).hexdigest()
        entries.append(Annotation(name, sha256, *size, str(one.split), one.concepts, *columns))
    concepts = tuple(map(str, range(10)))
    (folder / "dataset.yaml").write_text(heading(folder.name, task, True, concepts))
    (folder / "annotations.jsonl").write_text(
        "".join(entry.line() + "\n" for entry in sorted(entries, key=lambda e: e.image))
    )
    return PinnedDataset(name=folder.name, version=f"{task:x<32}.dir", folder=str(folder))


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo's models, untrained, under their names; a few of its pictures, and a video of one."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(folder / "root"))
        patch.setattr(digits, "SCENES", FEW)
        digits.compose(folder)
        scenes = dataset(folder / "scenes", folder / "data" / "digit-scenes", "detection", 4)
        singles = dataset(folder / "digits", folder / "data" / "digits", "classification", 2)
        champion(planned(scenes, "digit-scenes-detector", image_size=128), keen)
        champion(planned(singles, "digits-classifier"), certain)
    pictures = sorted((folder / "scenes" / "JPEGImages").glob("test_*.bmp"))
    whole = decode(pictures[0])
    with Writer(folder / "road.mp4", 160, 96, 10) as video:
        for i in range(12):
            video.write(whole.crop((8 * i, 40, 8 * i + 160, 136)), i * 100.0)
    return SimpleNamespace(
        folder=folder, pictures=pictures, singles=folder / "digits" / "test", video=folder / "road.mp4"
    )


def keen(network: nn.Module) -> None:
    """A detector that is fairly sure of a lot."""
    lively(network)
    for name, tensor in network.named_parameters():
        if name.endswith("bias"):
            tensor.clamp_(min=2.5)


def certain(network: nn.Module) -> None:
    """A classifier that is sure of one concept in each picture."""
    for tensor in network.parameters():
        if tensor.ndim == 2:
            tensor.mul_(1000)


@pytest.mark.parametrize("file", sorted(WORKFLOWS.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_is_without_fault(demo, file):
    assert job_of(str(file)).name == file.stem


def test_read_the_number_reads_what_it_finds(demo, tmp_path):
    answered(job_of(str(WORKFLOWS / "read-the-number.yaml")), demo.pictures, tmp_path, draw=True)
    for line in lines(tmp_path):
        read = [row["concept"] for row in line["nodes"]["read"]["regions"]]
        assert sorted(line["nodes"]["number"]["text"].replace("\n", "")) == sorted(read)
        assert len(read) > 0
    assert len(list((tmp_path / "drawn").rglob("*.jpg"))) == 3


def test_moderation_fills_the_queue_with_what_is_forbidden_alone(demo, tmp_path):
    done = answered(job_of(str(WORKFLOWS / "moderation.yaml")), [demo.singles], tmp_path)
    assert set(done["found"]["forbidden"]) == {"4", "7"}
    queued = done["acts"]["queue"]
    labelled = [line for line in lines(tmp_path) if max(row["score"] for row in line["nodes"]["queue"]["concepts"]) > 0]
    assert queued["accepted"] + queued["review"] == len(labelled)


def test_roof_inspection_counts_what_the_tiles_found(demo, tmp_path):
    large = Image.new("RGB", (700, 500))
    for i, path in enumerate(demo.pictures):
        large.paste(decode(path), (i * 150, i * 140))
    large.save(tmp_path / "roof.png")
    answered(job_of(str(WORKFLOWS / "roof-inspection.yaml")), [tmp_path / "roof.png"], tmp_path / "out")
    (line,) = lines(tmp_path / "out")
    assert len(line["nodes"]["tiles"]["images"]) == 6
    damage = line["nodes"]["damage"]["regions"]
    assert line["nodes"]["count"]["count"] == len(damage) <= len(line["nodes"]["find"]["regions"])
    assert all(0 <= x0 < x1 <= 700 and 0 <= y0 < y1 <= 500 for x0, y0, x1, y1 in (row["box"] for row in damage))


def test_traffic_follows_a_video_and_draws_one(demo, tmp_path):
    done = answered(job_of(str(WORKFLOWS / "traffic.yaml")), [demo.video], tmp_path, draw=True, every=2)
    rows = lines(tmp_path)
    assert [(row["frame"], row["time_ms"]) for row in rows] == [(i, i * 100.0) for i in range(0, 12, 2)]
    assert all("track_id" in region for row in rows for region in row["nodes"]["track"]["regions"])
    assert done["images"] == 6
    (drawn,) = (tmp_path / "drawn").rglob("*.mp4")
    with av.open(str(drawn)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 160, 96)
        assert sum(1 for _ in container.decode(video=0)) == 6


def test_traffic_wants_videos_alone(demo, tmp_path):
    told = r"traffic follows things from frame to frame: give it videos alone\. .*test_0000\.bmp is none"
    with pytest.raises(Fault, match=told):
        answered(job_of(str(WORKFLOWS / "traffic.yaml")), [demo.pictures[0], demo.video], tmp_path)
    assert not (tmp_path / "predictions.jsonl").exists()
