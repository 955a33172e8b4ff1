"""A run's page: nothing is shown where there is no run, and names become what Prefect takes."""

import base64
import logging
import re
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tasks import page


def test_outside_a_run_a_line_goes_to_the_ordinary_log(caplog):
    with caplog.at_level(logging.INFO, logger="tasks.page"):
        page.log("100 % of 3 pictures")
    assert caplog.messages == ["100 % of 3 pictures"]


def test_outside_a_run_nothing_is_shown(monkeypatch):
    for name in ("create_markdown_artifact", "create_table_artifact"):
        monkeypatch.setattr(page, name, lambda *_, **__: pytest.fail("there is no run to show it on"))
    page.show("# text", "name", "what")
    page.show_table([{"a": 1}], "name", "what")


def test_in_a_task_it_is_shown_under_a_name_that_prefect_takes(monkeypatch):
    shown = []
    monkeypatch.setattr(page.TaskRunContext, "get", classmethod(lambda cls: object()))
    monkeypatch.setattr(page, "create_markdown_artifact", lambda text, **more: shown.append((text, more)))
    monkeypatch.setattr(page, "create_table_artifact", lambda rows, **more: shown.append((rows, more)))
    page.show("# text", "evaluation-Roofs_2/3-test-", "Roofs")
    page.show_table(({"a": 1},), "concepts-roofs/3", "Per concept")
    assert shown == [
        ("# text", {"key": "evaluation-roofs-2-3-test", "description": "Roofs"}),
        ([{"a": 1}], {"key": "concepts-roofs-3", "description": "Per concept"}),
    ]


def test_names_in_other_alphabets_stay_apart(monkeypatch):
    keys = []
    monkeypatch.setattr(page.TaskRunContext, "get", classmethod(lambda cls: object()))
    monkeypatch.setattr(page, "create_markdown_artifact", lambda text, key, description: keys.append(key))
    for name in ("ingest-屋根", "ingest-猫", "ingest-猫", "犬"):
        page.show("# text", name, "what")
    assert len(set(keys)) == 3
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", key) for key in keys)


def test_pictures_are_in_the_text_itself(monkeypatch, tmp_path):
    shown = []
    monkeypatch.setattr(page.TaskRunContext, "get", classmethod(lambda cls: object()))
    monkeypatch.setattr(page, "create_markdown_artifact", lambda text, **more: shown.append(text))
    for name in ("pr_curve.png", "1.jpg"):
        (tmp_path / name).write_bytes(b"\0")
    page.show("# text", "name", "what", [tmp_path / "pr_curve.png", tmp_path / "1.jpg"])
    assert shown == ["# text\n\n![pr curve](data:image/png;base64,AA==)\n\n![1](data:image/jpeg;base64,AA==)"]


def test_a_large_picture_is_shown_at_the_width_of_a_page(monkeypatch, tmp_path):
    shown = []
    monkeypatch.setattr(page.TaskRunContext, "get", classmethod(lambda cls: object()))
    monkeypatch.setattr(page, "create_markdown_artifact", lambda text, **more: shown.append(text))
    Image.effect_noise((2000, 1000), 90).save(tmp_path / "roof.png")
    page.show("# text", "name", "what", [tmp_path / "roof.png"])
    kind, content = re.fullmatch(r"# text\n\n!\[roof\]\(data:image/(\w+);base64,(.+)\)", shown[0]).groups()
    with Image.open(BytesIO(base64.b64decode(content))) as image:
        assert (kind, image.format, image.size) == ("jpeg", "JPEG", (960, 480))


def test_a_report_leads_to_its_page():
    text = page.linked("# A on b\n\n**warning**\n", "http://there/#/1", Path("r/report.html"))
    assert text.startswith("# A on b\n\n[The report, with threshold, pictures and charts](http://there/#/1), file ")
    assert text.endswith("file `r/report.html`\n\n**warning**\n")
    assert "](" not in page.linked("# A\n\nb", "", Path("r/report.html"))  # no server, no link
