"""A dataset through the command line, from labelled pictures to an older version; and what is told of a bad one."""

from __future__ import annotations

import json
import shutil

import pytest

from flows.cli.output import table
from tasks.plan import pin
from tests.drawn import shapes
from tests.registered import always, pinned, planned, registered


@pytest.fixture
def source(tmp_path):
    """A folder for each concept, of 20 drawn pictures."""
    drawn = shapes(tmp_path / "drawn", train=20, val=0, size=32)
    for entry in drawn.annotations:
        target = tmp_path / "photos" / entry.concepts[0] / entry.image
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(drawn.path(entry), target)
    return tmp_path / "photos"


def test_from_pictures_to_an_older_version(answer, sightline, source, tmp_path, monkeypatch):
    first = answer("ingest", source, "--dataset", "bars")
    assert (first["images"], sum(first["splits"].values()), first["rejected"]) == (20, 20, 0)
    version = first["dataset_version"]
    (row,) = answer("dataset", "list")["datasets"]
    assert (row["dataset"], row["images"], row["on disk"], row["version"]) == ("bars", 20, "yes", version)
    shown = answer("dataset", "show", "bars")
    assert (shown["version"], shown["images"], shown["splits"]) == (version, 20, first["splits"])
    assert sightline("dataset", "show", "bars")[1].endswith(f"\nversion {version}\n")
    checked = answer("dataset", "check", "bars")
    assert (checked["dataset"], checked["dataset_version"]) == ("bars", version)
    exported = answer("dataset", "export", "bars", tmp_path / "exported", "--format", "folder")
    assert exported["files"] == len([path for path in (tmp_path / "exported").rglob("*") if path.is_file()]) >= 20

    next(source.rglob("*.png")).unlink()
    assert answer("ingest", source, "--dataset", "bars")["dataset_version"] != version
    monkeypatch.chdir(tmp_path)
    old = answer("dataset", "checkout", f"bars@{version[:8]}", "old")
    assert old == {"dataset": "bars", "folder": str(tmp_path / "old")}
    told = sightline("dataset", "checkout", f"bars@{version[:8]}", "old")[1]
    assert told.endswith(f"train on it: sightline train --dataset {tmp_path / 'old'} --template NAME\n")
    assert pin(old["folder"]).version == version


def test_files_that_are_not_the_versions_are_a_problem_beside_the_others(answer, sightline, source, workspace):
    answer("ingest", source, "--dataset", "bars", "--split", "90/10/0")
    next((workspace / "data/bars/images").rglob("*.png")).unlink()
    code, out, _ = sightline("dataset", "check", "bars", "--json")
    assert code == 1
    checked = json.loads(out)
    assert checked["dataset_version"] is None
    for told in ("1 pictures are not on disk", "no image is in test", "data/bars is not what data.dvc names"):
        assert any(told in problem for problem in checked["problems"]), told
    code, out, _ = sightline("dataset", "check", "bars")
    assert (code, out.splitlines()) == (1, checked["problems"])


def test_one_bad_dataset_does_not_hide_the_others(answer, sightline, source, workspace):
    answer("ingest", source, "--dataset", "good")
    (workspace / "data/bad").mkdir()
    (workspace / "data/bad/dataset.yaml").write_text("name: bad\n")
    code, out, err = sightline("dataset", "list", "--json")
    assert (code, "bad/dataset.yaml: must hold name" in err) == (0, True)
    told = {row["dataset"]: (row["on disk"], row["images"]) for row in json.loads(out)["datasets"]}
    assert told == {"bad": ("at fault", None), "good": ("yes", 20)}


@pytest.mark.parametrize("name", ["tool [left]", "[/x]", "[red]", ":smile:", "[link=x]a"])
def test_a_concept_is_printed_as_it_is_called(name):
    assert table([{"Concept": name, name: 1}]).splitlines()[1].startswith(name)
    assert name in table([{"Concept": "a", name: 1}]).splitlines()[0]


def test_a_table_shows_fractions_with_four_decimals_and_seconds_with_one():
    assert table([{"accuracy": 0.5, "seconds": 358.2}]).splitlines()[1].split() == ["0.5000", "358.2"]
    assert [line.strip() for line in table([{"seconds": 0.7}, {"seconds": 85.3}]).splitlines()[1:]] == ["0.7", "85.3"]


def test_suspicious_labels_are_listed_with_their_pictures(answer, sightline, tmp_path):
    folder = pinned(tmp_path / "shapes").folder
    version = registered(planned(pinned(tmp_path / "known")), always(0))
    words = ("dataset", "label-issues", folder, "--model", version, "--output", tmp_path / "issues")
    listed = answer(*words, "--limit", 3)
    assert (listed["found"], len(listed["rows"]), listed["images"]) == ({"wrong concept": 8}, 3, 16)
    code, out, err = sightline(*words)
    assert code == 0, err
    assert [line.split()[0] for line in out.splitlines()[:9]] == ["rank", *map(str, range(1, 9))]
    assert "\n8 suspicious in the labels of 16 images: 8 wrong concept\n" in out
    assert out.endswith(f"files: {tmp_path / 'issues'} (label_issues.csv, 1 sheet of pictures)\n")
    assert {path.name for path in (tmp_path / "issues").iterdir()} == {"label_issues.csv", "label_issues.jpg"}
    code, _, err = sightline("dataset", "label-issues", folder, "--model", "nobody")
    assert (code, "there is no model 'nobody'" in err) == (1, True)
