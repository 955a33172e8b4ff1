"""Names to versions: the registry as Sightline reads it. Aliases are resolved once, here."""

from __future__ import annotations

import hashlib
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from models.catalog import TYPES
from models.runtime.card import Card
from models.runtime.faults import Fault, choices, short
from tasks.pyfunc import SUMS
from tasks.tracking_store import prepare_store

CHAMPION, CHALLENGER = "champion", "challenger"
MEASURED = re.compile(r"(train|val|test)\.")


class Version(BaseModel):
    """One version of a registered model, written `name/number`.

    aliases: that point at it now.  type, template, dataset, dataset_version: of its card.
    megabytes: of its files, 10⁶ bytes; 0: not known.
    milliseconds: from file to answer, an image, when it was last measured.
    logged_model: MLflow's id of its artifacts.  metrics: measured ones, `<split>.<metric>`.
    created: when it was registered, ISO 8601 in UTC.
    folder: where its files lie, of a version that is not registered (yet); empty of those that are.
    training_seconds, epochs, samples (images an epoch), image_size, processor: of its training; 0 and empty: not known.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    number: int
    aliases: tuple[str, ...] = ()
    type: str = ""
    template: str = ""
    dataset: str = ""
    dataset_version: str = ""
    logged_model: str = ""
    run: str = ""
    created: str = ""
    metrics: dict[str, float] = {}
    training_seconds: float = 0.0
    epochs: int = 0
    samples: int = 0
    image_size: int = 0
    processor: str = ""
    milliseconds: float = 0.0
    megabytes: float = 0.0
    folder: str = ""

    def __str__(self) -> str:
        return self.folder or f"{self.name}/{self.number}"

    @property
    def slug(self) -> str:
        """What its folders are called: those of versions that are not registered by their files."""
        return f"{self.name}-{self.logged_model[:8] if self.folder else self.number}"


def client() -> MlflowClient:
    """The registry's client; the store is made first when there is none."""
    prepare_store()
    return MlflowClient()


def resolve(reference: str) -> Version:
    """The version that `name`, `name@alias` or `name/number` means now. `name` alone: champion, else the newest.

    A path that begins with `/`, `./` or `../` is a folder with a version's files (card.json, weights, runtime).
    Raises Fault with the names, aliases or numbers there are.
    """
    if reference.startswith(("/", "./", "../")):
        return _unregistered(reference)
    matched = re.fullmatch(r"(?P<name>[^@/]+)(@(?P<alias>[^@/]+)|/(?P<number>-?\d+))?", reference)
    if matched is None or not reference.isprintable():  # MLflow cannot even ask for half a character
        how = "Write name, name@alias or name/number, as in roofs-detector@champion."
        raise Fault(f"{short(reference)!r} is no model. {how}")
    name, alias, wanted = matched["name"], matched["alias"], matched["number"]
    aliases = _aliases(client(), name)
    if alias and alias not in aliases:
        raise Fault(f"{name} has no alias {short(alias)!r}. {choices(alias, aliases)}")
    # Looked up among those there are: asked for a number that its database cannot hold, MLflow breaks down.
    known = {str(entry.number): entry for entry in versions(name)}
    number = wanted.lstrip("0") if wanted else str(aliases.get(alias or CHAMPION, next(reversed(known), "")))
    if number not in known:
        there = f"version {short(wanted or number)}. There are: {', '.join(known)}." if known else "version yet."
        raise Fault(f"{name} has no {there}")
    return known[number]


def _unregistered(given: str) -> Version:
    """A version from its files alone: known by their digest, where a registered one has an id."""
    folder = Path(given)
    # os.path, not Path: that raises where the path is longer than the system takes.
    missing = [name for name in ("card.json", SUMS) if not os.path.isfile(folder / name)]  # noqa: PTH113
    if missing:
        what = "so these are not the files of a registered version"
        raise Fault(f"{short(given)}: there is no {missing[0]}, {what}")
    folder = folder.resolve()
    card, sums = _checked(folder / "card.json"), folder / SUMS
    return Version(
        name=folder.name,
        number=0,
        type=card.type,
        template=card.template,
        dataset=card.dataset,
        dataset_version=card.dataset_version,
        logged_model=hashlib.sha256(sums.read_bytes()).hexdigest()[:32],
        folder=str(folder),
    )


def _checked(file: Path) -> Card:
    """The card of a version that somebody handed over. Raises Fault where a value is of the wrong kind."""
    card = Card.read(file)
    try:
        TypeAdapter(Card).validate_json(file.read_bytes(), strict=True)
        TypeAdapter(list[str]).validate_python(card.parameters.get("concepts", []))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "parameters.concepts"
        raise Fault(f"{file}: not a model card ({where}: {first['msg']}, got {short(first['input'])!r})") from None
    if card.type not in TYPES:
        raise Fault(f"{file}: not a model card (there is no type {short(card.type)!r}. {choices(card.type, TYPES)})")
    return card


def versions(name: str = "") -> tuple[Version, ...]:
    """Every version in the registry, or of one model, by name and number."""
    registry = client()
    condition = f"name = '{_quoted(name)}'" if name else ""
    found: list[ModelVersion] = []
    token = None
    while True:
        page = registry.search_model_versions(condition, max_results=1000, page_token=token)
        found += page
        token = page.token
        if not token:
            break
    aliases = {each: _aliases(registry, each) for each in {entry.name for entry in found}}
    described = [_describe(entry, aliases[entry.name]) for entry in found]
    return tuple(sorted(described, key=lambda entry: (entry.name, entry.number)))


def trained(name: str, plan: str) -> Version | None:
    """The version that a training plan of that digest made, if the registry holds it."""
    condition = f"name = '{_quoted(name)}' and tags.plan = '{plan}'"
    found = client().search_model_versions(condition)
    if not found:
        return None
    newest = max(found, key=lambda entry: int(entry.version))
    return _describe(newest, _aliases(client(), name))


def set_alias(version: Version, alias: str) -> None:
    """Point an alias at a version, taking it from whichever had it."""
    client().set_registered_model_alias(version.name, alias, str(version.number))


def make_champion(version: Version) -> str:
    """Point `champion` at a version because somebody says so. Returns the sentence that the version keeps of it."""
    before = _aliases(client(), version.name).get(CHAMPION)
    if before == version.number:
        return f"{version} is the champion already."
    why = f"{version} was made champion by hand" + (f", in the place of {version.name}/{before}." if before else ".")
    set_alias(version, CHAMPION)
    note(version, promotion=why)
    return why


def note(version: Version, **tags: Any) -> None:
    """Write tags on a version."""
    registry = client()
    for key, value in tags.items():
        registry.set_model_version_tag(version.name, str(version.number), key, str(value))


def _aliases(registry: MlflowClient, name: str) -> dict[str, int]:
    try:
        return {alias: int(number) for alias, number in registry.get_registered_model(name).aliases.items()}
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        known = [entry.name for entry in registry.search_registered_models()]
        raise Fault(f"there is no model {short(name)!r}. {choices(name, known, 'Registered')}") from None


def _describe(entry: ModelVersion, aliases: dict[str, int]) -> Version:
    tags, number = entry.tags, int(entry.version)
    return Version(
        name=entry.name,
        number=number,
        aliases=tuple(sorted(alias for alias, held in aliases.items() if held == number)),
        logged_model=str(entry.source).removeprefix("models:/"),
        run=entry.run_id or "",
        created=datetime.fromtimestamp(entry.creation_timestamp / 1000, UTC).isoformat(timespec="seconds"),
        metrics={
            key: _number(value) for key, value in tags.items() if MEASURED.match(key) and _number(value) is not None
        },
        training_seconds=float(tags.get("training_seconds", 0)),
        milliseconds=float(tags.get("milliseconds", 0)),
        megabytes=float(tags.get("megabytes", 0)),
        **{key: int(tags.get(key, 0)) for key in ("epochs", "samples", "image_size")},
        **{key: tags.get(key, "") for key in ("type", "template", "dataset", "dataset_version", "processor")},
    )


def _number(text: str) -> float | None:
    """None for other people's tags of such a name."""
    try:
        return float(text)
    except ValueError:
        return None


def _quoted(name: str) -> str:
    if "'" in name:
        raise Fault(f"{name!r} is no model's name: it holds a quotation mark")
    return name
