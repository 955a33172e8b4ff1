"""An index holds what its version says of each picture, is made whole or not at all, and computes what is new alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.runtime.faults import Fault
from tasks import embeddings as room
from tasks import index_rows, visual_index, visual_search
from tasks.answers import predictor
from tasks.data import nearest
from tasks.data.annotations import Annotation
from tasks.data.nearest import unit
from tasks.duplicates import duplicates
from tasks.index_export import export
from tasks.index_files import GRAPH, HEAD, ROWS, VECTORS, VisualIndex, open_index
from tasks.index_rows import Where, chosen, index_of, indexes
from tasks.plan import PinnedDataset
from tasks.visual_index import Built, build_index, folder_of_index, sentence
from tasks.visual_search import look, ranked
from tests.registered import numbers, pinned, planned, registered

META = {"city": "Bern", "roof": 3, "tags": ["flat", "old"], "seen": True}


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    """A classifier of drawn bars, of random weights."""
    folder = tmp_path_factory.mktemp("indexed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(folder / "root"))
        return registered(planned(pinned(folder / "shapes")))


@pytest.fixture
def dataset(tmp_path) -> PinnedDataset:
    """Sixteen pictures: the first half in Bern; the last is a copy of the first, byte for byte, in another split."""
    made = pinned(tmp_path / "shapes")
    entries = list(made.open().annotations)
    images = tmp_path / "shapes" / "images"
    (images / entries[15].image).write_bytes((images / entries[0].image).read_bytes())
    entries[15] = replace(entries[15], sha256=entries[0].sha256, concepts=entries[0].concepts)
    return labelled(made, [replace(e, metadata=META if i < 8 else {"city": "Chur"}) for i, e in enumerate(entries)])


def labelled(dataset: PinnedDataset, entries: list[Annotation]) -> PinnedDataset:
    """The next version of a dataset, with these annotations."""
    lines = "".join(entry.line() + "\n" for entry in entries)
    (Path(dataset.folder) / "annotations.jsonl").write_text(lines)
    return dataset.model_copy(update={"version": f"{next(numbers):032x}.dir"})


def built(version, dataset) -> tuple[Built, VisualIndex]:
    done = build_index.fn(version, dataset)
    return done, open_index(Path(done.folder))


def picture(dataset: PinnedDataset, i: int) -> Path:
    return Path(dataset.folder) / "images" / f"{i:03d}.png"


@pytest.fixture
def counted(monkeypatch):
    """How many pictures are embedded, at each time."""
    seen: list[int] = []
    whole = room._computed
    monkeypatch.setattr(room, "_computed", lambda *given: seen.append(len(given[2])) or whole(*given))
    return seen


def test_an_index_holds_the_versions_own_vectors_of_length_1(version, dataset):
    done, index = built(version, dataset)
    opened = dataset.open()
    own = predictor(version).embed([Image.open(opened.path(entry)).convert("RGB") for entry in opened.annotations])
    assert np.allclose(index.vectors, unit(own), atol=1e-5)
    assert [row.image for row in index.rows()] == [entry.image for entry in opened.annotations]
    first = index.row(0)
    assert (first.split, first.concepts, first.metadata) == ("train", ("tall",), META)
    assert (done.images, done.new, done.copies, done.kind, done.unchanged) == (16, 16, 1, "exact", False)
    assert "16 pictures of shapes" in sentence(done)
    assert "1 of them copies byte for byte: 16 of them new" in sentence(done)


def test_nothing_is_done_twice_and_a_new_version_embeds_what_is_new(version, dataset, counted):
    entries = list(dataset.open().annotations)
    older = labelled(dataset, entries[:12])
    first, _ = built(version, older)
    again, _ = built(version, older)
    assert (first.new, again.new, again.unchanged) == (12, 0, True) and counted == [12]
    assert "nothing is new" in sentence(again)
    newer = labelled(dataset, entries[2:])
    later, index = built(version, newer)
    assert counted == [12, 3]  # of four further ones the last is a copy of one that was there
    assert (later.images, later.new, later.folder != first.folder) == (14, 3, True)
    assert [row.image for row in index.rows()] == [entry.image for entry in entries[2:]]
    assert open_index(Path(first.folder)).head.count == 12


def test_a_kill_leaves_no_index_and_the_next_build_makes_it(version, dataset, monkeypatch):
    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(visual_index, "write_head", killed)
        with pytest.raises(KeyboardInterrupt):
            build_index.fn(version, dataset)
    folder = folder_of_index(dataset, version)
    assert not folder.exists() and [path.name for path in folder.parent.iterdir()] == [".lock"]
    left = folder.with_name(f".{folder.name}.00000000.new")  # of a kill that nothing could clean up after
    left.mkdir()
    assert built(version, dataset)[0].new == 16
    assert not left.exists()


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        (VECTORS, lambda old: old[:-8], r"vectors\.npy: is no file of an index any more \(it has \d+ bytes, \d+ were"),
        (VECTORS, lambda old: b"\0" * len(old), r"vectors\.npy: is no file of an index any more"),
        (VECTORS, lambda old: old.replace(b"<f4", b"<i4"), r"it should hold 16 × \d+ float32"),
        (ROWS, lambda old: old[1:], r"rows\.jsonl: is no file of an index any more"),
        (ROWS, lambda old: b"x" + old[1:], r"rows\.jsonl: .* \(line 1: "),
        (ROWS, lambda old: old.replace(b'"image"', b'"imege"'), r"rows\.jsonl: .*imege"),
        (ROWS, lambda old: b" " * (len(old) - 1) + b"\n", r"it has 1 lines, and 16 vectors"),
        (HEAD, lambda old: b"{}", r"index\.json: .* \(dataset: Field required"),
        (HEAD, lambda old: b"[1", r"index\.json: is no file of an index"),
        (HEAD, lambda old: old.replace(b'"count":', b'"cuont":'), r"index\.json: .*\((count|cuont): "),
        (HEAD, lambda old: old.replace(b'"rows.jsonl"', b'"../x.jsonl"'), r"index\.json: .*\(it names"),
    ],
)
def test_a_damaged_file_is_named_and_the_index_made_again(version, dataset, file, content, words):
    done, index = built(version, dataset)
    path = Path(done.folder) / file
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(Fault, match=words) as told:
        spoiled = open_index(index.folder)
        ranked(spoiled, spoiled.vectors[:1], 3)
        list(spoiled.rows())
    assert "Remove" in str(told.value) and "build it again" in str(told.value)


def test_what_is_too_short_is_made_again(version, dataset):
    _, index = built(version, dataset)
    (index.folder / ROWS).write_text("{}\n")
    with pytest.raises(Fault, match=r"rows\.jsonl: it has|rows\.jsonl: is no file"):
        index_of()
    again, whole = built(version, dataset)
    assert (again.unchanged, whole.row(3).image) == (False, "003.png")


def test_a_vector_of_zeros_is_kept_and_a_file_that_lost_some_is_told(version, dataset, monkeypatch):
    def embeddings(*_):
        made = np.eye(16, 20, dtype="f4")
        made[5] = 0
        return made

    monkeypatch.setattr(visual_index, "embeddings", embeddings)
    done, index = built(version, dataset)
    assert (done.images, index.head.zeros) == (16, 1)
    assert built(version, dataset)[0].unchanged
    lost = index.vectors.copy()
    lost[9] = 0
    np.save(index.folder / VECTORS, lost)
    with pytest.raises(Fault, match=r"vectors\.npy: is no file of an index any more \(2 vectors in it are 0, 1 were\)"):
        open_index(index.folder)


def test_vectors_that_are_not_finite_are_refused(version, dataset, monkeypatch):
    monkeypatch.setattr(visual_index, "embeddings", lambda _, __, entries: np.full((len(entries), 4), np.nan, "f4"))
    with pytest.raises(Fault, match=r"answers 16 of 16 pictures with numbers that are not finite, the first 000\.png"):
        build_index.fn(version, dataset)
    with pytest.raises(Fault, match="there is no index yet"):
        index_of()


def test_a_dataset_without_pictures_is_refused(version, dataset):
    with pytest.raises(Fault, match="dataset shapes: it has no image"):
        build_index.fn(version, labelled(dataset, []))


@pytest.fixture
def graphed(monkeypatch):
    """Graphs from eight pictures on."""
    monkeypatch.setattr(nearest, "EXACT", 8)


def test_of_many_a_graph_is_walked_and_what_is_new_is_added(version, dataset, graphed, monkeypatch):
    entries = list(dataset.open().annotations)
    first, index = built(version, labelled(dataset, [*entries[:4], *entries[6:]]))
    assert (first.kind, index.head.sizes.keys()) == ("hnsw", {ROWS, VECTORS, GRAPH})
    assert f"a graph (HNSW) that finds {first.recall:.3f} of the ten nearest" in sentence(first)
    added = []
    whole = visual_search.Graph.add
    monkeypatch.setattr(visual_search.Graph, "add", lambda self, new: added.append(len(new)) or whole(self, new))
    later, index = built(version, labelled(dataset, entries))
    assert sum(added) == later.new == 2
    assert [row.image for row in index.rows()][-3:] == ["015.png", "004.png", "005.png"]
    found, every = ranked(index, index.vectors, 1)
    assert not every
    same = found.rows[:, 0] % 16 == np.arange(16)
    assert same.sum() >= 15  # of the two copies one is first
    added.clear()
    fewer, index = built(version, labelled(dataset, entries[1:]))
    assert sum(added) == 15 and fewer.new == 0
    assert sorted(row.image for row in index.rows()) == [entry.image for entry in entries[1:]]
    assert ranked(index, index.vectors[:1], 3, all_of_them=True)[1]


def test_a_graph_that_finds_too_few_is_not_kept(version, dataset, graphed, monkeypatch):
    monkeypatch.setattr(visual_search.Graph, "tune", lambda *_, **__: 0.9)
    done, index = built(version, dataset)
    assert (done.kind, done.recall, (index.folder / GRAPH).exists()) == ("exact", 1.0, False)


def test_another_graph_in_its_place_is_told(version, dataset, graphed):
    _, index = built(version, dataset)
    (index.folder / GRAPH).write_bytes(b"\0" * index.head.sizes[GRAPH])
    with pytest.raises(Fault, match=r"graph\.faiss: is no file of an index any more \(not a graph"):
        ranked(open_index(index.folder), index.vectors[:1], 3)


def test_few_that_a_filter_lets_in_are_all_looked_at(version, dataset, graphed):
    _, index = built(version, dataset)
    mask = chosen(index, Where(splits=("val",)))
    found, every = ranked(index, index.vectors[:1], 16, mask)
    images = {index.row(number).image for number in found.rows[0] if number >= 0}
    assert every and images == {"008.png", "009.png", "010.png", "011.png"}


def test_a_picture_finds_itself_first_and_then_others(version, dataset):
    _, index = built(version, dataset)
    found = look(index, picture(dataset, 2), top=5)
    assert [hit["rank"] for hit in found.hits] == [1, 2, 3, 4, 5]
    assert (found.hits[0]["image"], found.hits[0]["score"]) == ("002.png", pytest.approx(1, abs=1e-5))
    scores = [hit["score"] for hit in found.hits]
    expected = np.sort(index.vectors @ index.vectors[2])[::-1][:5]
    assert np.allclose(scores, expected, atol=1e-5)
    assert (found.images, found.looked_at, found.exact) == (16, 16, True)
    assert found.hits[0].keys() >= {"split", "concepts", "metadata", "sha256", "same"}
    with Image.open(found.sheet) as sheet:
        assert sheet.size[0] > 1000


def test_a_file_that_is_in_the_dataset_is_marked(version, dataset):
    import hashlib

    digest = hashlib.sha256(picture(dataset, 2).read_bytes()).hexdigest()
    entries = [replace(e, sha256=digest) if i == 2 else e for i, e in enumerate(dataset.open().annotations)]
    _, index = built(version, labelled(dataset, entries))
    assert [hit["image"] for hit in look(index, picture(dataset, 2)).hits if hit["same"]] == ["002.png"]


@pytest.mark.parametrize(
    ("where", "images"),
    [
        (Where(concepts=("tall",)), {0, 2, 4, 6, 8, 10, 12, 14, 15}),
        (Where(concepts=("tall", "wide"), splits=("val",)), {8, 9, 10, 11}),
        (Where(concepts=("wide",), splits=("val", "test")), {9, 11, 13}),
        (Where(metadata=(("city", "Bern"),)), set(range(8))),
        (Where(metadata=(("city", "Bern"), ("city", "Chur"))), set(range(16))),
        (Where(metadata=(("city", "Chur"), ("roof", "3"))), set()),
        (Where(metadata=(("tags", "old"), ("seen", "true")), concepts=("wide",)), {1, 3, 5, 7}),
    ],
)
def test_filters_choose_before_anything_is_ranked(version, dataset, where, images):
    _, index = built(version, dataset)
    found = look(index, picture(dataset, 2), 16, where)
    assert {int(hit["image"][:3]) for hit in found.hits} == images
    assert found.looked_at == len(images)
    assert bool(found.sheet) == bool(images)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (Where(concepts=("tal",)), r"has the concept 'tal'\. Known: tall, wide\. Did you mean 'tall'"),
        (Where(splits=("tset",)), r"has the split 'tset'\. Known: test, train, val\. Did you mean 'test'"),
        (Where(metadata=(("citi", "Bern"),)), r"key 'citi'\. Known: city, roof, seen, tags\. Did you mean 'city'"),
        (Where(metadata=(("city", "Berne"),)), r"has the city 'Berne'\. Known: Bern, Chur\. Did you mean 'Bern'"),
    ],
)
def test_a_filter_of_nothing_names_what_there_is(version, dataset, where, words):
    _, index = built(version, dataset)
    with pytest.raises(Fault, match=words):
        chosen(index, where)


def test_a_part_of_a_picture_is_asked_about_alone(version, dataset, tmp_path):
    _, index = built(version, dataset)
    large = Image.new("RGB", (90, 70), "black")
    large.paste(Image.open(picture(dataset, 5)), (40, 20))
    large.save(tmp_path / "large.png")
    found = look(index, tmp_path / "large.png", 1, box=(40.2, 20.0, 71.3, 51.6))  # every pixel that it touches
    assert (found.hits[0]["image"], found.hits[0]["score"]) == ("005.png", pytest.approx(1, abs=1e-5))
    assert look(index, tmp_path / "large.png", 1).hits[0]["score"] < 0.9999


@pytest.mark.parametrize("box", [(0, 0, 33, 10), (-1, 0, 4, 4), (8, 0, 8, 4), (0, 9, 4, 3), (0, 0, float("nan"), 4)])
def test_a_box_that_is_no_part_of_the_picture_is_refused(version, dataset, box):
    _, index = built(version, dataset)
    with pytest.raises(Fault, match=r"000\.png: box .* is no part of the picture, which is 32 × 32 pixels"):
        look(index, picture(dataset, 0), box=box)


def test_what_cannot_be_asked_is_refused(version, dataset, tmp_path):
    _, index = built(version, dataset)
    (tmp_path / "broken.png").write_bytes(picture(dataset, 0).read_bytes()[:60])
    for path, words in [("broken.png", r"broken\.png: "), ("none.png", r"none\.png: there is no such file")]:
        with pytest.raises(Fault, match=words):
            look(index, tmp_path / path)
    for top in (0, 1001):
        with pytest.raises(Fault, match=f"top-k: a number from 1 to 1000 is wanted, got {top}"):
            look(index, picture(dataset, 0), top)
    with pytest.raises(Fault, match=r"a sheet is written as JPEG\. Name a file that ends in \.jpg"):
        look(index, picture(dataset, 0), sheet=tmp_path / "sheet.gif")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Fault, match=r"file is no folder, so nothing can lie in it\. Name another file\."):
        look(index, picture(dataset, 0), sheet=tmp_path / "file" / "deep" / "sheet.jpg")


def test_a_picture_that_has_gone_is_an_empty_cell(version, dataset):
    _, index = built(version, dataset)
    asked = picture(dataset, 0)
    picture(dataset, 1).unlink()
    assert Path(look(index, asked, 16).sheet).is_file()


def test_a_version_that_is_another_by_now_is_told(version, dataset):
    _, index = built(version, dataset)
    other = replace(index, head=index.head.model_copy(update={"logged_model": "m-1"}))
    with pytest.raises(Fault, match=rf"is by an earlier {version}, whose files are gone\. `sightline index build"):
        look(other, picture(dataset, 0))
    gone = replace(index, head=index.head.model_copy(update={"model": "nobody/1"}))
    with pytest.raises(Fault, match=r"is by nobody/1, which is not there: there is no model 'nobody'"):
        look(gone, picture(dataset, 0))


def test_copies_and_near_ones_are_told_apart_and_across_splits(version, dataset):
    _, index = built(version, dataset)
    found = duplicates(index, 1.0)
    (group,) = found.groups
    assert [(row["image"], row["split"], row["exact"], row["leak"]) for row in group] == [
        ("000.png", "train", True, True),
        ("015.png", "test", True, True),
    ]
    assert (found.pictures, found.copies, found.leaks, found.differing) == (2, 2, 1, 0)
    assert Path(found.sheet).is_file()
    every = duplicates(index, -1.0)
    assert (len(every.groups), every.pictures, every.copies, every.leaks, every.differing) == (1, 16, 2, 1, 1)
    assert duplicates(replace_rows(index, 15), 1.0).sheet == ""


def replace_rows(index: VisualIndex, count: int) -> VisualIndex:
    """The index without its last row."""
    shorter = replace(index, head=index.head.model_copy(update={"count": count}))
    shorter.__dict__["vectors"] = index.vectors[:count]
    return shorter


def test_vectors_are_exported_with_their_rows(version, dataset, tmp_path):
    import pyarrow.parquet as pq

    _, index = built(version, dataset)
    table = pq.read_table(export(index, tmp_path / "new" / "vectors.parquet"))
    assert table.column_names == ["image", "split", "concepts", "sha256", "embedding"]
    assert np.array_equal(np.stack(table["embedding"].to_pylist()).astype(np.float32), index.vectors)
    assert table["concepts"].to_pylist()[:2] == [["tall"], ["wide"]]
    assert table.schema.metadata[b"model"].decode() == str(version)
    with np.load(export(index, tmp_path / "vectors.npz"), allow_pickle=False) as file:
        assert np.array_equal(file["embedding"], index.vectors)
        assert file["image"].tolist() == [row.image for row in index.rows()]
        assert json.loads(file["concepts"][1]) == ["wide"]
    lines = export(index, tmp_path / "vectors.csv").read_text().splitlines()
    assert lines[0].startswith("image,split,concepts,sha256,e0,e1") and len(lines) == 17
    assert np.allclose([float(cell) for cell in lines[3].split(",")[-index.head.dimension :]], index.vectors[2])


def test_an_export_is_whole_or_not_there(version, dataset, tmp_path, monkeypatch):
    _, index = built(version, dataset)
    path = tmp_path / "vectors.csv"
    path.write_text("before")
    spoiled = replace(index)
    spoiled.__dict__["vectors"] = index.vectors[:3]  # it stops in the middle
    with pytest.raises(ValueError, match="shorter"):
        export(spoiled, path)
    assert path.read_text() == "before" and [entry.name for entry in tmp_path.glob("*vectors*")] == ["vectors.csv"]
    with pytest.raises(Fault, match=r"vectors are not written as that\. Known: \.csv, \.npz, \.parquet"):
        export(index, tmp_path / "vectors.txt")
    (tmp_path / "file").write_text("")
    with pytest.raises(Fault, match=r"cannot be written"):
        export(index, tmp_path / "file" / "vectors.csv")


def test_which_index_is_meant(version, dataset, tmp_path, monkeypatch):
    with pytest.raises(Fault, match=r"there is no index yet\. `sightline index build DATASET --model NAME` makes it"):
        index_of()
    entries = list(dataset.open().annotations)
    first = built(version, dataset)[0]
    second = built(version, labelled(dataset, entries[:10]))[0]
    assert str(index_of().folder) == second.folder  # data.dvc names none: the last made
    monkeypatch.setattr(index_rows, "present", lambda _: first.dataset_version)
    assert str(index_of("shapes", version.name).folder) == first.folder
    assert str(index_of(f"shapes@{second.dataset_version[:32]}").folder) == second.folder
    with pytest.raises(Fault, match=r"no index of a dataset 'shaps'\. Indexed: shapes\. Did you mean 'shapes'"):
        index_of("shaps")
    with pytest.raises(Fault, match=r"no index of shapes at ffff"):
        index_of("shapes@ffff")
    other = registered(planned(pinned(tmp_path / "more")))
    with pytest.raises(Fault, match=rf"no index of shapes by {other}\. There are: shapes by {version}"):
        index_of("shapes", str(other))
    built(other, dataset)
    with pytest.raises(Fault, match=r"there are several indexes\. .* Say which: --dataset NAME, --model NAME/number"):
        index_of()
    assert index_of(model=str(other)).head.model == str(other)
    assert len(indexes()[0]) == 3


def test_an_index_of_an_older_version_says_so(version, dataset, monkeypatch):
    _, index = built(version, dataset)
    here = replace(index, head=index.head.model_copy(update={"folder": ""}))
    assert index_rows.behind(index) == index_rows.behind(here) == ""
    monkeypatch.setattr(index_rows, "present", lambda _: "f" * 32 + ".dir")
    assert index_rows.behind(index) == ""  # of a folder that was checked out, older on purpose
    assert f"it is at ffffffff now. `sightline index build shapes --model {version}`" in index_rows.behind(here)


def test_concepts_of_boxes_can_be_asked_for(version, tmp_path):
    scenes = pinned(tmp_path / "scenes", task="detection")
    _, index = built(version, scenes)
    assert chosen(index, Where(concepts=("wide",))).tolist() == [i % 2 == 1 for i in range(16)]
