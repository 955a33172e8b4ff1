"""Bring labelled pictures in."""

from prefect import flow

from tasks import ingest as verbs
from tasks.data.account import Ingested
from tasks.data.store import locked


@flow(flow_run_name="ingest {dataset}")
def ingest(
    source: str,
    dataset: str,
    format: str = "auto",
    split: str = "",
    tolerance: float = 0.05,
    retry: str = "",
    forget: str = "",
) -> Ingested:
    """Bring labelled pictures in: each checked, put into a split once and for ever, and versioned.

    source: folder, CSV or COCO JSON; may be empty for a retry.  dataset: its name in data/.
    format: auto, folder, voc, coco, yolo or csv.  split: shares of train/val/test where the source has none
    (80/10/10).  tolerance: share of images and boxes that may be left out.  retry: a rejected.csv, of which
    what is good by now is added.  forget: names that data.dvc may drop where their files are nowhere.
    """
    request = verbs.request(source, dataset, format, split, tolerance, retry, forget)
    with locked():
        found = verbs.read(request)
        checked = verbs.check(request, found)
        draft = verbs.split(request, checked)
        built = verbs.write(draft)
        ingested = verbs.version(request, draft, found.format, built)
        verbs.report(ingested, draft)
    return ingested
