"""Workflows as files and as versions: read, checked against the registry, and made ready to answer."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import mlflow
from PIL import Image
from pydantic import BaseModel, ConfigDict

from models.runtime.faults import Fault, choices, short
from models.runtime.kinds import KINDS
from models.runtime.workflows.graph import PICTURE, Graph, Node, Wire, parse
from models.runtime.workflows.plan import Plan, Signature
from models.runtime.workflows.running import Workflow, known
from models.runtime.workflows.wiring import plan
from tasks.answers import in_our_words
from tasks.artifacts import card, file_of, files_of
from tasks.hosted import is_hosted, translated
from tasks.parsed import parsed
from tasks.plan import check_name
from tasks.pyfunc import GRAPH, load
from tasks.registry import Version, resolve
from tasks.workspace import root

WORKFLOW = "workflow"  # the type of a registered one


class Job(BaseModel):
    """What answers: a graph whose models are pinned to versions, or a registered workflow.

    name: of the workflow, or the version of a single model.  version: of a registered workflow, or of the single
    model; else empty.  dataset_version: what the single model was trained on.  graph: as `Graph.to_row`.
    signatures: of a registered workflow's models, which are inside it.
    single: whether it is one model alone, whose answers need no node's name.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    graph: dict[str, Any]
    version: str = ""
    dataset_version: str = ""
    signatures: dict[str, dict[str, Any]] = {}
    single: bool = False

    @property
    def slug(self) -> str:
        """What its folders are called."""
        return self.name.replace("/", "-")

    @property
    def digest(self) -> str:
        """Of all that decides what it answers."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def job_of(given: str, models: str = "") -> Job:
    """The job that a workflow's file or name under workflows/, or a registered model or workflow, stands for.

    models: the mapping file of a hosted platform's workflow.
    Raises Fault with everything that is wrong with it.
    """
    file = workflow_file(given)
    if file is None and models:
        raise Fault(f"{given} is registered and names its models itself, so that --models {models} has nothing to say")
    if file is None:
        return model_job(given)
    graph = pinned(*read(file, models))
    return Job(name=graph.name, graph=graph.to_row())


def model_job(given: str, threshold: float | None = None) -> Job:
    """The job of a registered model or workflow. threshold: of a model; None: its own.

    Raises Fault where there is none, and for a workflow's threshold: its nodes have their own.
    """
    version = resolve(given)
    if version.type != WORKFLOW:
        return single(version, threshold)
    if threshold is not None:
        raise Fault(f"{version} is a workflow, whose nodes have thresholds of their own. Leave out --threshold.")
    return registered_job(version)


def from_file(given: str, name: str = "", models: str = "") -> Job:
    """The job of a workflow's file alone, under its own name or another. Raises Fault where it is no file."""
    if workflow_file(given) is None:
        there = [path.stem for path in (root() / "workflows").glob("*.yaml")]
        raise Fault(f"there is no workflow {short(given)!r}. {choices(given, there, 'Under workflows/')}")
    job = job_of(given, models=models)
    if not name:
        return job
    check_name(name)
    return job.model_copy(update={"name": name, "graph": {"workflow": job.graph["workflow"] | {"name": name}}})


def workflow_file(given: str) -> Path | None:
    """The file that is meant: a path, or a name under workflows/. None: it is no file."""
    path = Path(given)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            there = sorted(str(each.relative_to(root())) for each in (root() / "workflows").glob("*.yaml"))
            raise Fault(f"{short(given)}: there is no such file. {choices(given, there, 'Workflows here')}")
        return path
    named = root() / "workflows" / f"{given}.yaml"
    return named if len(given) < 200 and named.is_file() else None


def read(file: Path, models: str = "") -> tuple[Graph, list[str], str]:
    """A workflow's file: the graph, what is wrong with it so far, and what to call it. The hosted platform's, too."""
    faults: list[str] = []
    where = str(file)
    try:
        row = parsed(file.read_bytes())
    except (OSError, ValueError) as error:
        raise Fault(f"{file}: cannot be read as YAML ({error})") from None
    if is_hosted(row):
        row = translated(row, _mapping(models), faults)
        where = f"{file} (--models FILE says which model here is meant by each of its ids)"
    elif models:
        raise Fault(f"{file}: names its models itself, so that --models {models} has nothing to say")
    return parse(row, faults), faults, where


def _mapping(file: str) -> dict[str, str]:
    if not file:
        return {}
    try:
        if not Path(file).is_file():  # a device gives bytes without end
            raise ValueError("it is no file")
        row = parsed(Path(file).read_bytes())
    except (OSError, ValueError) as error:
        raise Fault(f"{file}: cannot be read as YAML ({error})") from None
    if not isinstance(row, dict) or not all(isinstance(value, str) for value in row.values()):
        raise Fault(f"{file}: a mapping file has a line `their-model-id: our-model@champion` for each model")
    return {short(name, 1000): value for name, value in row.items()}


def pinned(graph: Graph, faults: Sequence[str], where: str) -> Graph:
    """The graph, each model as `name/number` and each wire with its port. Raises Fault with all faults there are."""
    return _pinned(checked(graph, faults, where))


def checked(graph: Graph, faults: Sequence[str] = (), where: str = "") -> Plan:
    """The plan of a graph, by what the registry says of its models. Raises Fault with every fault there is."""
    wanted = dict.fromkeys(node.model for node in graph.nodes if node.model)
    return plan(graph, {name: signature(name) for name in wanted}, where, faults)


def signature(reference: str) -> Signature | str:
    """What is known of a model without loading it; a sentence where there is none of that name."""
    try:
        version = resolve(reference)
        if version.type == WORKFLOW:
            return f"{version} is a workflow: put its own nodes here"
        concepts = _concepts(version)
    except Fault as fault:
        return str(fault)
    return Signature(str(version), version.type, KINDS[version.type].answer.name, concepts)


def _concepts(version: Version) -> tuple[str, ...]:
    """From the registry's own record: no file of the version is brought here for it."""
    if version.folder:
        return card(version).concepts
    info = mlflow.models.get_model_info(f"models:/{version.logged_model}")
    return tuple((info.metadata or {}).get("sightline", {}).get("concepts", ()))


def _pinned(found: Plan) -> Graph:
    nodes = []
    for step in found.steps:
        wires = tuple(Wire(source, port) for port, sources in step.wires.items() for source in sources)
        model = step.signature.version if step.signature else ""
        params = step.operator.model_dump(mode="json") if step.operator else step.node.params
        nodes.append(Node(step.node.id, model, step.node.operator, params, wires))
    return Graph(found.name, tuple(nodes))


def single(version: Version, threshold: float | None = None) -> Job:
    """One model as a workflow of one node."""
    params = {} if threshold is None else {"threshold": threshold}
    node = Node(NODE, model=str(version), params=params, inputs=(Wire(PICTURE),))
    graph = Graph("predict", (node,)).to_row()
    return Job(
        name=str(version), version=str(version), dataset_version=version.dataset_version, graph=graph, single=True
    )


NODE = "model"  # the id of a single model's node


def registered_job(version: Version) -> Job:
    """A registered workflow, with the graph it was registered with."""
    with file_of(version, GRAPH) as file:
        content = json.loads(file.read_text(encoding="utf-8"))
    graph = {"workflow": content["workflow"]}
    return Job(name=str(version), version=str(version), graph=graph, signatures=content["signatures"])


@lru_cache(maxsize=1)  # the shards of a run are tasks of one process, one after the other
def _ready(dumped: str) -> Workflow:
    job = Job.model_validate_json(dumped)
    if job.version and not job.single:
        return _loaded(job.version)
    found = planned(job)
    return Workflow(found, {each: _loaded(each) for each in found.versions})


def ready(job: Job) -> Workflow:
    """The workflow with its models loaded, each with its own code, and each once; the last one asked for is kept."""
    return _ready(job.model_dump_json())


def planned(job: Job) -> Plan:
    """The plan of a job's graph; of a registered workflow by what it says itself of the models in it."""
    graph = parse(job.graph, [])
    return plan(graph, known(job.signatures), job.name) if job.signatures else checked(graph, where=job.name)


def _loaded(reference: str) -> Any:
    """What a version's files are, ready to answer with its own code."""
    version = resolve(reference)
    with files_of(version) as folder, in_our_words(version):
        return load(folder)


def reader(workflow: Workflow) -> Callable[..., Image.Image]:
    """What decodes pictures for it: its models' code where they share one, else the code that the workflow runs by."""
    codes = {type(each).__module__ for each in workflow.predictors.values()}
    return sys.modules[codes.pop() if len(codes) == 1 else type(workflow).__module__].read
