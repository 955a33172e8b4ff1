"""The entry MLflow loads: it finds the version's own copy of the runtime and answers with it.

Logged by path (models from code), so it travels with every version and imports nothing of this project.
The runtime is imported under a name made of its bytes: versions with different code live side by side in
one process, each answering with its own.
"""

import hashlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

import mlflow
import pandas
from mlflow.pyfunc import PythonModel

EVERY = {"card.json", "trained_on.txt", "weights.safetensors"}  # and the runtime's
GRAPH = "workflow.json"  # what a workflow has in the place of card and weights,
PARTS = "parts"  # beside the files of each of its models, a folder each
SUMS = "SHA256SUMS"  # the digest of every other file of a version; `sha256sum -c SHA256SUMS` there says the same


class Fault(Exception):
    """A version's file is not the one that was registered. The runtime's own class may be what is damaged."""


def load(folder: Path, device: str = "") -> Any:
    """The predictor, or the workflow, of the version in a folder: its files checked, and then its own code."""
    check(folder)
    if (folder / GRAPH).exists():
        workflow = runtime(folder / "runtime", "workflows.running").Workflow
        return workflow.load(folder / GRAPH, lambda part: load(folder / PARTS / part, device))
    return runtime(folder / "runtime").Predictor.load(folder, device)


def check(folder: Path, only: str = "") -> None:
    """Raises Fault unless a version's files (or the one named) are as they were registered, bit for bit.

    Measured: 130 ms for 100 MB, once a load; reading weights into a network takes longer.
    """
    listed = folder / SUMS
    if not listed.exists():  # a version from before there were such lists
        return
    lines = listed.read_text(encoding="utf-8", errors="replace").splitlines()
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    every = {GRAPH, "trained_on.txt"} if GRAPH in sums else EVERY
    if not every | ({only} - {""}) <= sums.keys():
        raise Fault(f"{listed}: damaged: it does not name every file")
    for name, digest in sums.items():
        if only not in ("", name):
            continue
        try:
            with (folder / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except (OSError, ValueError) as error:
            raise Fault(f"{folder / name}: cannot be read ({error})") from None
        if found != digest:
            raise Fault(f"{folder / name}: damaged: its sha256 is {found[:8]}…, registered was {digest[:8]}…")


def runtime(folder: Path, room: str = "predictor") -> Any:
    """A room of the package `folder`, imported as `sightline_runtime_<digest of its files>`, once a process."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    name = f"sightline_runtime_{digest.hexdigest()[:16]}"
    if name not in sys.modules:
        init = folder / "__init__.py"
        spec = importlib.util.spec_from_file_location(name, init, submodule_search_locations=[str(folder)])
        assert spec is not None and spec.loader is not None
        package = importlib.util.module_from_spec(spec)
        sys.modules[name] = package
        spec.loader.exec_module(package)
    return importlib.import_module(f"{name}.{room}")


class Sightline(PythonModel):
    """Answers with a row for each region (detector), image and concept (classifier) or image (embedder, clusterer,
    workflow).
    """

    def load_context(self, context: Any) -> None:
        self.predictor = load(Path(context.artifacts["version"]))

    def predict(
        self, context: Any, model_input: pandas.DataFrame, params: dict[str, Any] | None = None
    ) -> pandas.DataFrame:
        """model_input: pictures in a list, in a table's column `image`, or one alone. A picture is a path, the
        bytes of a file, an (H, W, 3) uint8 RGB array or a Pillow image. (The hint of a table is what keeps MLflow
        from warning at every load: it wants one, and checks nothing by this one.)

        params: `threshold`, the least score of an answered row, in [0, 1]; below 0 the model's own.
        Answers a table with columns image (row of the input), and concept, score; for a detector also x0, y0,
        x1, y1 in pixels of the image as given; for an embedder embedding alone, a list of numbers; for a clusterer
        cluster, score and distance. A workflow's has a column for each node, with its answer as an object, a picture
        in it as PNG in base64; what follows things from frame to frame takes the pictures for frames, so many a
        second as the parameter `fps` says.
        """
        if not hasattr(self.predictor, "kind"):
            return pandas.DataFrame(self.predictor.table(_pictures(model_input), (params or {}).get("fps")))
        kind = self.predictor.kind
        answers = self.predictor.predict(_pictures(model_input))
        least = kind.least(self.predictor.card, (params or {}).get("threshold"))
        rows = [{"image": i} | row for i, answer in enumerate(answers) for row in answer.table(least)]
        return pandas.DataFrame(rows, columns=["image", *kind.answer.columns])


def _pictures(given: Any) -> list[Any]:
    """The pictures in whatever form MLflow handed them over."""
    if isinstance(given, pandas.DataFrame | dict):
        if "image" not in given:
            raise ValueError(f"a table of pictures has a column 'image', this one has: {', '.join(map(str, given))}")
        given = given["image"]
    # An array of one picture has three dimensions, of several four; a series has one, a path none at all.
    several = isinstance(given, list | tuple) or getattr(given, "ndim", 3) != 3
    return list(given) if several else [given]


mlflow.models.set_model(Sightline())
