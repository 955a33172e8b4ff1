"""Answer for new pictures: JSON Lines, Parquet and, if asked, drawn pictures."""

from typing import Any

from prefect import flow

from tasks.pictures import find
from tasks.predict import gather, output_folder, predict_shard, shards
from tasks.registry import resolve


@flow(flow_run_name="predict with {model}")
def predict(
    model: str, paths: list[str], threshold: float | None = None, output: str = "", draw: bool = False
) -> dict[str, Any]:
    """Answer for files, folders or globs with a registered model, as JSON Lines, Parquet and drawn pictures."""
    version = resolve(model)
    pictures, rejected = find(paths)
    with output_folder(version, output) as folder:
        done = [predict_shard(version, part, threshold, folder, at, draw) for at, part in shards(pictures)]
        return gather(version, done, rejected, folder)
