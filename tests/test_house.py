"""The rules of the house, read off the code: who may import whom, how long things are, what is never written."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("flows", "tasks", "models")
CODE = sorted(path.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*.py"))
EVERYTHING = CODE + sorted(
    path.relative_to(ROOT) for room in ("tests", "benchmarks") for path in (ROOT / room).rglob("*.py")
)

# Where data is versioned: the only code that knows DVC.
DVC = {Path("tasks/data") / name for name in ("repository.py", "version.py", "commit.py", "checkout.py")}
RUNTIME = {"torch", "torchvision", "numpy", "PIL", "pydantic", "safetensors"}
# What one room of the runtime alone needs, and imports only when it is asked for.
EXTRA = {
    Path("models/runtime/dfine.py"): {"transformers"},
    Path("models/runtime/operators/drawing.py"): {"supervision", "matplotlib"},
    Path("models/runtime/operators/track.py"): {"trackers", "supervision"},
}
PICKLES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
XML_READERS = {"ElementTree", "XML", "XMLParser", "fromstring", "iterparse", "parse"}  # defusedxml has safe ones
LONGEST_FUNCTION = 40  # lines, the docstring not counted
LONGEST_FILE = 300  # about 200 is the aim


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path))


def imports(path: Path, within: ast.AST | None = None) -> Iterator[tuple[int, str]]:
    """(level of a relative import or 0, dotted name) of each import in a file, also those inside functions."""
    for node in ast.walk(within or tree(path)):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""


def roots(path: Path) -> set[str]:
    """The packages that a file imports from: its own, by the name of the room, for a relative import."""
    return {path.parts[0] if level else name.split(".")[0] for level, name in imports(path)}


def below(folder: str) -> list[Path]:
    return [path for path in CODE if path.is_relative_to(folder)]


def test_there_is_code_to_look_at():
    assert len(CODE) > 50
    assert all(path.exists() for path in map(ROOT.joinpath, DVC))


@pytest.mark.parametrize(("room", "never"), [("models", {"tasks", "flows"}), ("tasks", {"flows"})])
def test_imports_run_one_way(room, never):
    assert {str(path): roots(path) & never for path in below(room) if roots(path) & never} == {}


def test_nothing_imports_the_tests_or_the_benchmarks():
    assert [str(path) for path in CODE if roots(path) & {"tests", "benchmarks"}] == []


def test_only_flows_and_verbs_know_prefect_and_only_verbs_know_mlflow():
    verbs = [path for path in below("tasks") if len(path.parts) == 2]
    assert [str(path) for path in CODE if "prefect" in roots(path) and path not in [*verbs, *below("flows")]] == []
    assert [str(path) for path in CODE if "mlflow" in roots(path) and path not in verbs] == []


def test_only_the_version_room_knows_dvc():
    knowing = {path for path in CODE if any(name.startswith("dvc") for name in roots(path))}
    assert knowing <= DVC


@pytest.mark.parametrize("path", below("models/runtime"), ids=str)
def test_the_runtime_stands_alone(path):
    depth = len(path.parts) - len(Path("models/runtime").parts)
    for level, name in imports(path):
        if level:
            assert level <= depth, f"{path}: a relative import leaves the runtime"
        else:
            allowed = RUNTIME | EXTRA.get(path, set()) | sys.stdlib_module_names
            assert name.split(".")[0] in allowed, f"{path}: imports {name}"


def test_extras_are_imported_only_when_they_are_asked_for():
    for path, extras in EXTRA.items():
        above = ast.Module([node for node in tree(path).body if isinstance(node, ast.Import | ast.ImportFrom)], [])
        assert extras <= roots(path)
        assert not extras & {name.split(".")[0] for _, name in imports(path, above)}


def test_what_mlflow_loads_needs_mlflow_alone():
    path = Path("tasks/pyfunc.py")
    lazily = {
        name.split(".")[0]
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef)
        for _, name in imports(path, node)
    }
    assert lazily <= {"pandas"}
    assert roots(path) - sys.stdlib_module_names <= {"mlflow", "pandas"}
    assert all(level == 0 for level, _ in imports(path))


def test_plain_code_imports_without_prefect_mlflow_and_dvc():
    names = [
        ".".join(path.with_suffix("").parts)
        for room in ("models", "tasks/data", "tasks/metrics")
        for path in below(room)
    ]
    program = f"""
import importlib, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("prefect", "mlflow", "dvc", "dvc_data", "dvc_objects"):
            raise ImportError(name + " is not here")

sys.meta_path.insert(0, Blocked())
for name in {names!r}:
    importlib.import_module(name.removesuffix(".__init__"))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """From `def` to its last line, the docstring not counted."""
    first = function.body[0]
    told = ast.get_docstring(function) is not None
    return function.end_lineno - function.lineno + 1 - (first.end_lineno - first.lineno + 1 if told else 0)  # type: ignore[operator]


def test_functions_are_short():
    functions = [
        (path, node)
        for path in EVERYTHING
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [f"{path}: {node.name}" for path, node in functions if lines(node) > LONGEST_FUNCTION] == []


def test_files_are_short():
    assert [str(path) for path in CODE if len((ROOT / path).read_text().splitlines()) > LONGEST_FILE] == []


def test_every_file_and_what_is_public_in_it_says_what_it_is():
    silent = []
    for path in CODE:
        if not tree(path).body:
            continue
        if ast.get_docstring(tree(path)) is None:
            silent.append(str(path))
        for node in tree(path).body:
            if (
                isinstance(node, ast.FunctionDef | ast.ClassDef)
                and not node.name.startswith("_")
                and ast.get_docstring(node) is None
            ):
                silent.append(f"{path}: {node.name}")
    assert silent == []


def test_names_of_no_meaning_are_not_used():
    assert [str(path) for path in CODE if path.stem in ("utils", "util", "helpers", "common", "misc", "base")] == []
    classes = [node.name for path in CODE for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)]
    assert [name for name in classes if name.startswith("Base") or name.endswith(("Manager", "Helper", "Utils"))] == []


def unsafe(path: Path) -> Iterator[str]:
    """What a file does that could run code it was handed."""
    if roots(path) & PICKLES:
        yield "pickle"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "xml":
            yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name in XML_READERS)
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if called in ("eval", "exec", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "yaml.full_load"):
            yield called
        if called == "torch.load" and given.get("weights_only") != "True":
            yield "torch.load without weights_only=True"
        yield from (
            f"{word}={value}"
            for word, value in (("weights_only", "False"), ("shell", "True"), ("allow_pickle", "True"))
            if given.get(word) == value
        )


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import pickle", "pickle"),
        ("from joblib import dump", "pickle"),
        ("yaml.load(text)", "yaml.load"),
        ("torch.load(path)", "torch.load without weights_only=True"),
        ("trainer.fit(weights_only=False)", "weights_only=False"),
        ("subprocess.run(x, shell=True)", "shell=True"),
        ("from xml.etree.ElementTree import parse", "xml.etree.ElementTree.parse"),
        ("from xml.etree import ElementTree", "xml.etree.ElementTree"),
    ],
)
def test_what_is_unsafe_is_seen(tmp_path, code, what):
    path = tmp_path / "code.py"
    path.write_text(code)
    assert list(unsafe(path)) == [what]


def test_nothing_unsafe_is_written():
    assert {str(path): list(unsafe(path)) for path in EVERYTHING if list(unsafe(path))} == {}
