"""Versions are DVC's own digests; data.dvc never loses a dataset; an older version comes back whole."""

import io
import os
import shutil
import sqlite3
import subprocess
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import yaml
from dvc.cli import main
from dvc_data.hashfile.transfer import transfer

from models.runtime.faults import Fault
from tasks.data.checkout import checkout
from tasks.data.commit import commit, point, stage
from tasks.data.listing import Listing, together
from tasks.data.pointer import parse_pointer, read_pointer
from tasks.data.store import locked
from tasks.data.version import dataset_version, folder_version, recorded, verify, versions

# DVC uses an attribute that its prefix tree will drop: https://github.com/mina86/pygtrie
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value will soon raise:DeprecationWarning")

NAMED = f"outs:\n- md5: {'0' * 32}.dir\n  path: data\nmeta:\n  data_version: {'0' * 32}.dir\n  datasets: {{{{{{}}}}}}\n"


def make(root: Path, name: str, **files: str) -> Path:
    folder = root / "data" / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "images").mkdir(parents=True)
    (folder / "dataset.yaml").write_text(f"name: {name}\ntask: detection\nexclusive: false\nconcepts: []\n")
    (folder / "annotations.jsonl").write_text("")
    for file, content in (files or {"ü 1": "one", "b": "two"}).items():
        (folder / "images" / file).write_text(content)
    return folder


def dvc(root: Path, *arguments: str) -> str:
    """DVC's own command line, in this process (starting another takes a second each time)."""
    said = io.StringIO()
    with redirect_stdout(said):
        assert main(["--cd", str(root), *arguments]) == 0
    return said.getvalue()


def fresh_clone(root: Path) -> None:
    """What git alone would bring."""
    for folder in (".dvc/cache", ".dvc/tmp", ".sightline", "data"):
        shutil.rmtree(root / folder, ignore_errors=True)


def test_digests_are_those_of_dvc(workspace, tmp_path, monkeypatch):
    make(workspace, "roofs")
    make(workspace, "listings", a="1")
    commit("roofs")
    found = commit("listings")
    assert "up to date" in dvc(workspace, "status")

    other = tmp_path / "other"
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    shutil.copytree(workspace / "data", other / "data")
    dvc(other, "init", "--no-scm", "-q")
    dvc(other, "add", "-q", "data/roofs", "data/listings")
    digests = {n: yaml.safe_load((other / f"data/{n}.dvc").read_text())["outs"][0]["md5"] for n in versions()}
    assert versions() == digests == {"roofs": dataset_version("roofs"), "listings": found.dataset_version}
    for name in digests:
        (other / f"data/{name}.dvc").unlink()
    dvc(other, "add", "-q", "data")
    out = yaml.safe_load((other / "data.dvc").read_text())["outs"]
    assert yaml.safe_load((workspace / "data.dvc").read_text())["outs"] == out
    assert found.data_version == read_pointer().data_version == out[0]["md5"]


def test_another_dataset_leaves_a_version_alone(workspace):
    make(workspace, "roofs")
    first = commit("roofs")
    make(workspace, "listings")
    second = commit("listings")
    assert dataset_version("roofs") == first.dataset_version
    assert second.data_version != first.data_version


def test_the_same_files_give_the_same_pointer(workspace):
    make(workspace, "roofs")
    commit("roofs")
    before = (workspace / "data.dvc").stat()
    assert commit("roofs") == commit("roofs")
    assert (workspace / "data.dvc").stat().st_mtime_ns == before.st_mtime_ns


def test_what_others_wrote_into_the_pointer_stays(workspace):
    make(workspace, "roofs")
    commit("roofs")
    path = workspace / "data.dvc"
    document = yaml.safe_load(path.read_text())
    document |= {"desc": "ours", "meta": {**document["meta"], "owner": "Ada"}}
    document["outs"][0]["remote"] = "bucket"
    path.write_text(yaml.safe_dump(document))
    make(workspace, "roofs", c="3")
    commit("roofs")
    after = yaml.safe_load(path.read_text())
    assert (after["desc"], after["meta"]["owner"], after["outs"][0]["remote"]) == ("ours", "Ada", "bucket")


def test_a_fresh_clone_rebuilds_what_the_pointer_names_one_by_one(workspace):
    make(workspace, "digits")
    make(workspace, "scenes")
    commit("digits")
    commit("scenes")
    named = (workspace / "data.dvc").read_text()
    fresh_clone(workspace)
    make(workspace, "scenes")
    commit("scenes")
    make(workspace, "digits")
    commit("digits")
    assert (workspace / "data.dvc").read_text() == named
    assert "up to date" in dvc(workspace, "status")


def test_a_fresh_clone_does_not_forget_what_it_lacks(workspace):
    make(workspace, "digits")
    commit("digits")
    named = (workspace / "data.dvc").read_text()
    fresh_clone(workspace)
    make(workspace, "roofs")
    with pytest.raises(Fault, match=r"also names digits \([0-9a-f]{12}\), whose files .*--forget digits"):
        commit("roofs")
    assert (workspace / "data.dvc").read_text() == named
    commit("roofs", forget=["digits"])
    assert set(versions()) == {"roofs"}


def test_what_is_known_is_not_forgotten(workspace):
    make(workspace, "digits")
    commit("digits")
    make(workspace, "roofs")
    commit("roofs", forget=["digits"])
    assert set(versions()) == {"digits", "roofs"}


def test_a_new_version_needs_the_splits_of_the_old_one(workspace):
    make(workspace, "roofs")
    commit("roofs")
    fresh_clone(workspace)
    built = make(workspace, "roofs", other="content").rename(workspace / "data" / ".roofs.new")
    message = (
        rf"names its version {dataset_version('roofs')[:12]}.*`dvc pull` .*--forget roofs.* become training images"
    )
    with pytest.raises(Fault, match=message):
        stage("roofs", built)
    assert stage("roofs", built, forget=["roofs"]).versions.dataset_version != dataset_version("roofs")


def test_a_remote_knows_what_a_fresh_clone_does_not(workspace, tmp_path):
    make(workspace, "digits")
    commit("digits")
    dvc(workspace, "remote", "add", "-d", "-q", "store", str(tmp_path / "store"))
    dvc(workspace, "push", "-q")
    fresh_clone(workspace)
    assert recorded("digits", "images/b") == b"two"
    make(workspace, "roofs")
    commit("roofs")
    assert set(versions()) == {"digits", "roofs"}
    assert not (workspace / "data" / "digits").exists()
    dvc(workspace, "pull", "-q")
    assert verify("digits") == dataset_version("digits")
    assert verify("roofs") == dataset_version("roofs")


def test_a_remote_that_does_not_answer_is_no_reason_to_forget(workspace):
    make(workspace, "digits")
    commit("digits")
    dvc(workspace, "remote", "add", "-d", "-q", "store", "http://127.0.0.1:9/store")
    make(workspace, "roofs")
    assert "digits" in versions() and commit("roofs")  # not asked as long as the cache knows
    fresh_clone(workspace)
    make(workspace, "roofs", a="new")
    with pytest.raises(Fault, match="DVC remote 'store' does not answer"):
        commit("roofs", forget=["digits"])


def test_the_cache_needs_room_for_what_it_lacks_alone(workspace, monkeypatch):
    make(workspace, "roofs", a="1" * 1000)
    commit("roofs")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1000, 500, 500))
    make(workspace, "roofs", a="1" * 1000, b="2" * 100, twin="2" * 100)
    commit("roofs")
    make(workspace, "roofs", c="3" * 1000)
    with pytest.raises(Fault, match=r"cache.*GB are needed .*GB are free"):
        commit("roofs")


def test_a_stage_changes_nothing_until_it_is_pointed_to(workspace):
    make(workspace, "roofs")
    first = commit("roofs")
    make(workspace, "roofs", c="3")
    staged = stage("roofs")
    assert dataset_version("roofs") == first.dataset_version
    assert point(staged).dataset_version == dataset_version("roofs") != first.dataset_version


def test_a_pointer_that_changed_meanwhile_is_not_overwritten(workspace):
    make(workspace, "roofs")
    staged = stage("roofs")
    make(workspace, "listings")
    commit("listings")
    with pytest.raises(Fault, match=r"data.dvc was changed while this ran"):
        point(staged)


def test_changed_files_are_found(workspace):
    folder = make(workspace, "roofs", a="one", b="two")
    version = commit("roofs").dataset_version
    assert verify("roofs") == version
    (folder / "images/a").write_text("ONE")
    (folder / "images/b").unlink()
    (folder / "images/c").write_text("three")
    with pytest.raises(Fault, match=r"1 changed \(images/a\), 1 missing \(images/b\), 1 new \(images/c\)"):
        verify("roofs")
    shutil.rmtree(folder)
    with pytest.raises(Fault, match=r"roofs: not on disk"):
        verify("roofs")


def test_files_in_data_are_no_links_into_the_cache(workspace):
    folder = make(workspace, "roofs", a="one")
    commit("roofs")
    path = folder / "images/a"
    assert path.stat().st_nlink == 1 and not path.is_symlink() and os.access(path, os.W_OK)


def test_what_dvc_remembers_stays_in_the_workspace(workspace, tmp_path, monkeypatch):
    make(workspace, "roofs")
    commit("roofs")
    local = workspace / ".dvc/config.local"
    assert f"site_cache_dir = {workspace}/.sightline/dvc" in local.read_text()
    local.write_text(local.read_text() + "['remote \"store\"']\n    url = s3://ours\n")
    moved = workspace.rename(tmp_path / "moved")
    monkeypatch.setenv("SIGHTLINE_ROOT", str(moved))
    verify("roofs")
    text = (moved / ".dvc/config.local").read_text()
    assert f"site_cache_dir = {moved}/.sightline/dvc" in text and "s3://ours" in text


def test_an_add_by_hand_is_understood(workspace):
    folder = make(workspace, "roofs", a="one")
    before = commit("roofs").dataset_version
    (folder / "images/z").write_text("by hand")
    dvc(workspace, "add", "-q", "data")
    assert read_pointer().datasets is None  # written for another data version
    assert versions() == {"roofs": folder_version(folder)} != {"roofs": before}


def test_an_older_version_comes_into_a_folder_of_its_own(workspace):
    folder = make(workspace, "roofs", a="one", **{"deep ü": "two"})
    old = commit("roofs").dataset_version
    make(workspace, "roofs", a="changed")
    new = commit("roofs").dataset_version
    path = checkout("roofs", old[:6])
    assert folder_version(path) == old
    assert (path / "images/a").read_text() == "one"
    assert (folder / "images/a").read_text() == "changed" and verify("roofs") == new
    assert checkout("roofs", old) == path  # used again


def test_an_older_version_is_found_through_the_data_version_it_was_part_of(workspace, tmp_path):
    subprocess.run(["git", "init", "-q", str(workspace)], check=True)
    make(workspace, "listings")
    make(workspace, "roofs", a="one")
    old = commit("roofs").dataset_version
    commit("listings")
    git = ["git", "-C", str(workspace), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run([*git, "add", "data.dvc"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "data"], check=True)
    dvc(workspace, "remote", "add", "-d", "-q", "store", str(tmp_path / "store"))
    dvc(workspace, "push", "-q")
    make(workspace, "roofs", a="two")
    commit("roofs")
    fresh_clone(workspace)
    assert folder_version(checkout("roofs", old, tmp_path / "old")) == old


def test_the_cache_is_searched_only_for_what_git_does_not_name(workspace, monkeypatch):
    make(workspace, "roofs", a="one")
    old = commit("roofs").dataset_version
    make(workspace, "roofs", a="two")
    new = commit("roofs").dataset_version
    damaged = workspace / ".dvc/cache/files/md5/00" / f"{'0' * 30}.dir"
    damaged.parent.mkdir()
    damaged.write_text("not a listing")
    assert folder_version(checkout("roofs", old)) == old  # no git here: data.dvc names the new one alone
    monkeypatch.setattr("tasks.data.checkout._in_cache", lambda *_: pytest.fail("data.dvc names it"))
    assert folder_version(checkout("roofs", new)) == new


def test_checkouts_that_cannot_be(workspace, tmp_path):
    folder = make(workspace, "roofs", a="one")
    version = commit("roofs").dataset_version
    with pytest.raises(Fault, match=rf"roofs@0123456: this version is not known here. Known: {version[:12]}"):
        checkout("roofs", "0123456")
    with pytest.raises(Fault, match="too short"):
        checkout("roofs", version[:5])
    with pytest.raises(Fault, match="lies in data/"):
        checkout("roofs", version, workspace / "data" / "old")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").write_text("precious")
    with pytest.raises(Fault, match="is there already and not roofs@"):
        checkout("roofs", version, tmp_path / "mine")
    assert (tmp_path / "mine/file").read_text() == "precious"
    cached = next(
        path
        for path in (workspace / ".dvc/cache/files/md5").rglob("*")
        if path.is_file() and path.read_bytes() == b"one"
    )
    cached.chmod(0o644)
    cached.write_text("rot")
    with pytest.raises(Fault, match="damaged, its md5 differs"):
        checkout("roofs", version, tmp_path / "new")
    cached.unlink()
    with pytest.raises(Fault, match="neither in DVC's cache nor on a remote"):
        checkout("roofs", version, tmp_path / "new")
    assert not (tmp_path / "new").exists() and folder.exists()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_checkout_that_fails_leaves_nothing_but_what_was_there(workspace, tmp_path, monkeypatch, error):
    make(workspace, "roofs", a="one")
    version = commit("roofs").dataset_version
    (tmp_path / "others" / ".old.new").mkdir(parents=True)
    (tmp_path / "others/.old.new/file").write_text("precious")
    with monkeypatch.context() as context:
        context.setattr(Path, "write_bytes", lambda *_: (_ for _ in ()).throw(error))
        with pytest.raises((Fault, KeyboardInterrupt), match=r"^$|old: cannot be read or written \(No space left"):
            checkout("roofs", version, tmp_path / "others/deep/old")
    assert [path.name for path in (tmp_path / "others").iterdir()] == [".old.new"]
    assert (checkout("roofs", version, tmp_path / "others/old") / "images/a").read_text() == "one"
    assert (tmp_path / "others/.old.new/file").read_text() == "precious"


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("file/below", "file/below: cannot be read or written .Not a directory"),
        ("x" * 300, "x…x+: cannot be read or written .File name too long"),
        ("loop", "loop: a link that leads to itself"),
        ("fifo", "fifo: is there already"),
    ],
)
def test_folders_that_cannot_hold_a_checkout(workspace, tmp_path, folder, message):
    make(workspace, "roofs")
    version = commit("roofs").dataset_version
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(Fault, match=message):
        checkout("roofs", version, tmp_path / folder)


def test_a_cache_that_holds_what_is_no_dataset_is_searched_all_the_same(workspace):
    make(workspace, "roofs", a="one")
    (workspace / "data/roofs/dataset.yaml").write_text("- !!int ''\n")
    commit("roofs")
    with pytest.raises(Fault, match=r"boats@000000: this version is not known here\. Known: none"):
        checkout("boats", "000000")


@pytest.mark.parametrize("error", [OSError(30, "Read-only file system"), sqlite3.OperationalError("disk is full")])
def test_what_the_disk_does_not_allow_is_said(workspace, monkeypatch, error):
    make(workspace, "roofs")
    commit("roofs")
    monkeypatch.setattr("tasks.data.version.listing_of", lambda *_: (_ for _ in ()).throw(error))
    with pytest.raises(Fault, match=r"root: cannot be read or written \((Read-only file system|disk is full)\)"):
        verify("roofs")


def test_what_another_machine_does_not_allow_is_not_laid_on_the_disk(workspace, monkeypatch):
    make(workspace, "roofs")
    commit("roofs")
    refused = ConnectionRefusedError(111, "Connection refused")
    monkeypatch.setattr("tasks.data.version.listing_of", lambda *_: (_ for _ in ()).throw(refused))
    with pytest.raises(ConnectionRefusedError), locked():
        verify("roofs")


@pytest.fixture
def half_copied(workspace, monkeypatch):
    """A half-copied file that is there while pictures go into DVC's cache, and what is called after it appeared."""
    make(workspace, "roofs", a="one")
    half = workspace / ".dvc/cache/files/md5/ab/.half.tmp"

    def arrange(then):
        def copying(*given, **more):
            half.parent.mkdir(parents=True)
            half.write_text("o")
            return then(*given, **more)

        monkeypatch.setattr("dvc_data.hashfile.transfer.transfer", copying)
        return half

    return arrange


def test_a_cache_on_a_full_disk_keeps_no_half_files(half_copied):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    half = half_copied(full)
    with pytest.raises(Fault, match="No space left on device"):
        commit("roofs")
    assert not half.exists()


def test_what_another_process_fetches_meanwhile_is_left_to_it(half_copied):
    half = half_copied(transfer)
    commit("roofs")
    assert half.exists()


def test_a_dvcignore_within_a_dataset_is_named(workspace):
    (make(workspace, "roofs") / ".dvcignore").write_text("")
    with pytest.raises(Fault, match=r"data/roofs: there is a \.dvcignore in it"):
        commit("roofs")


def test_a_pointer_that_was_only_prepared_is_taken_away(workspace):
    make(workspace, "roofs")
    staged = stage("roofs")
    with pytest.raises(KeyboardInterrupt):
        point(staged, lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert not (workspace / "data.dvc").exists() and list(workspace.glob(".*.new")) == []


def test_unknown_datasets_are_named(workspace):
    assert (versions(), recorded("roofs", "x")) == ({}, None)
    make(workspace, "roofs")
    commit("roofs")
    with pytest.raises(Fault, match=r"names no dataset 'rofs'. Known: roofs. Did you mean 'roofs'\?"):
        dataset_version("rofs")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<<<<<<< HEAD\nouts: [\n", "not YAML.*git merge"),
        ("outs:\n- md5: abc\n  path: data\n", "must point to the one folder"),
        ("outs:\n- md5: a.dir\n  path: images\n", "must point to the one folder"),
        ("[]", "must point to the one folder"),
        ("a: !!int ''", "not YAML"),
        (NAMED.format("7: X.dir"), r"meta: datasets: 7: X\.dir is no dataset with its version.*git checkout"),
        (NAMED.format("roofs: [a, b]"), r"roofs: \['a', 'b'\] is no dataset"),
        (NAMED.format("roofs: ../x.dir"), r"roofs: \.\./x\.dir is no dataset"),
    ],
)
def test_strange_pointers_are_refused(text, message):
    with pytest.raises(Fault, match=message):
        parse_pointer(text)


def test_a_pointer_that_is_no_text_is_refused(workspace):
    (workspace / "data.dvc").write_bytes(b"outs: \xff")
    with pytest.raises(Fault, match=r"data\.dvc: cannot be read \(not UTF-8\)\. `git checkout"):
        versions()
    for make_other in (Path.mkdir, os.mkfifo):
        other = workspace / "data.dvc"
        other.rmdir() if other.is_dir() else other.unlink()
        make_other(other)
        with pytest.raises(Fault, match=r"data\.dvc: cannot be read \(not a regular file\)"):
            versions()


def test_other_peoples_meta_is_no_obstacle():
    moved = parse_pointer(f"outs:\n- md5: {'0' * 32}.dir\n  path: data\nmeta: [a]\n").moved("1.dir", {}, 0, 0)
    assert moved.document["meta"] == {"data_version": "1.dir", "datasets": {}}


def test_an_unknown_pointer_is_refused_with_the_way_out(workspace):
    (workspace / "data.dvc").write_text(f"outs:\n- md5: {'0' * 32}.dir\n  path: data\n")
    with pytest.raises(Fault, match=r"neither in DVC's cache nor on a remote.*dvc pull"):
        versions()


def test_listings_part_and_come_together():
    whole = Listing({"README": "1" * 32, "a/images/x": "2" * 32, "b/y": "3" * 32})
    assert set(whole.parts()) == {"", "a", "b"}
    assert whole.parts()["a"].files == {"images/x": "2" * 32}
    assert together(whole.parts()).digest == whole.digest
    assert Listing.parse(whole.content()) == whole
