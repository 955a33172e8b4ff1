"""A headless Chromium that drives pages as they are shown elsewhere: in a frame as narrow as a phone that may run
scripts and nothing else, as MLflow's is."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

# Runs before the page's own scripts: what goes wrong is told.
FIRST = """<script>
const told = [];
addEventListener("error", (event) => told.push(String(event.message || event.target.src)), true);
addEventListener("unhandledrejection", (event) => told.push(String(event.reason)));
for (const name of ["error", "warn"]) console[name] = (...said) => told.push(said.join(" "));
</script>"""

# Runs after them: posts what DRIVEN, an async function, finds to the page around it.
LAST = """<script>
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const loaded = () =>
  performance.getEntriesByType("resource").map((one) => one.name).filter((name) => !/^data:/.test(name));
const wide = () => document.documentElement.scrollWidth - innerWidth;
DRIVEN
addEventListener("load", async () => {
  await pause(1500);
  let found;
  try { found = await driven(); } catch (error) { found = { failed: String(error.stack) }; }
  parent.postMessage([NAME, { ...found, told }], "*");
});
</script>"""
AROUND = """<!doctype html><meta charset="utf-8"><title>driven</title><pre id="driven"></pre><script>
const found = {};
addEventListener("message", (event) => {
  found[event.data[0]] = event.data[1];
  document.getElementById("driven").textContent = JSON.stringify(found);
});
</script>"""
FLAGS = (
    *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking"),
    *("disable-component-update", "disable-sync", "virtual-time-budget=30000", "dump-dom"),
    *("disable-site-isolation-trials", "disable-features=IsolateSandboxedIframes"),  # one clock for all frames
)


def driven(pages: Mapping[str, str], script: str, folder: Path) -> dict[str, Any]:
    """What a script (`async function driven()`) finds on each page, by the page's name, and what its console said.

    Without a Chromium the test is skipped.
    """
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium: apt-get install chromium, to drive the pages of reports")
    around = AROUND
    for name, page in pages.items():
        last = LAST.replace("DRIVEN", script).replace("NAME", json.dumps(name))
        whole = page.replace("<head>", f"<head>{FIRST}", 1).replace("</body>", f"{last}</body>")
        (folder / f"{name}.html").write_text(whole, encoding="utf-8")
        around += f'<iframe sandbox="allow-scripts" src="{name}.html" width="375" height="600"></iframe>'
    (folder / "around.html").write_text(around, encoding="utf-8")
    done = subprocess.run(
        [browser, *(f"--{flag}" for flag in FLAGS), f"--user-data-dir={folder / 'chromium'}", "around.html"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    text = re.search(r'<pre id="driven">(.+?)</pre>', done.stdout, re.DOTALL)
    assert text, done.stderr[-2000:]
    found = json.loads(html.unescape(text[1]))
    assert {name: each["failed"] for name, each in found.items() if "failed" in each} == {}
    return found
