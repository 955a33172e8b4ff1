"""The hosted platform's words and what is meant by them here: model types, parameters, statuses."""

from __future__ import annotations

import re

# Its model types that are operators here.
TYPES = {
    "image-crop": "image-crop",
    "concept-thresholder": "concept-thresholder",
    "region-thresholder": "region-thresholder",
    "random-sample": "random-sample",
    "image-tiling-operator": "image-tile",
    "tiling-region-aggregator-operator": "tile-merge",
    "concept-synonym-mapper": "concept-map",
    "object-counter": "object-counter",
    "byte-tracker": "byte-track",
    "centroid-tracker": "centroid",
    "kalman-filter-tracker": "sort",
    "image-color-recognizer": "color-recognizer",
    "annotation-writer": "write-annotations",
}
# Its types that nothing here is the same as, and what comes near: whoever wants that says so in the mapping file.
NEAR = {
    "kalman-reid-tracker": "byte-track, oc-sort or sort",
    "neural-tracker": "byte-track, oc-sort or sort",
    "neural-lite-tracker": "byte-track, oc-sort or sort",
    "text-aggregation-operator": "reading-order",
}
# Its types that are models: which one here is meant, its id or the mapping file says.
MODELS = {
    "visual-classifier",
    "visual-detector",
    "visual-embedder",
    "visual-segmenter",
    "visual-anomaly-heatmap",
    "visual-keypointer",
    "visual-detector-embedder",
    "embedding-classifier",
    "embed-classifier",
    "clusterer",
    "text-classifier",
    "text-to-text",
    "optical-character-recognizer",
    "image-to-text",
    "multimodal-embedder",
    "multimodal-to-text",
}
# The keys of its files. Whose a model is has no meaning here: that may be said.
NODE = ("id", "model", "node_inputs", "suppress_output")
MODEL = ("model_id", "model_version_id", "model_type_id", "output_info", "user_id", "app_id", "description", "name")
INFO, DATA = ("params", "data"), ("concepts",)
LEAST = ("detection_threshold", "min_value")  # a model's parameters that are its threshold here: the higher one counts
COMPARISON = "concept_threshold_type"
NAMES = {COMPARISON: "type"}  # its parameters that are called otherwise here
CONCEPTS = "output_info.data.concepts"
# What it says and nothing here means, and what to do; of others: leave them out.
INSTEAD = {
    CONCEPTS: "Leave it out, and put a select-concepts operator where only some may go on",
    "select_concepts": "Leave it out, and put a select-concepts operator after the model",
    "sample_ms": "Leave it out, and give `--fps` when the workflow is run",
    "annotation_user_id": "Leave it out: labels say which workflow they come from",
    "task_id": "Leave it out: what is to be reviewed lies in a folder of its own, review/",
    "track_id_prefix": "Leave it out: ids are numbers, and begin anew with each video",
}
AHEAD = "Leave it out, and put a thresholder before it where only sure ones may count"
OWN = "their concepts have thresholds of their own, and all others fail there. Leave it out"
APART = (
    "it may write labels that are left out there: the models before it have different thresholds ({}). Give them "
    "one, or none and put a thresholder after each"
)
LISTED = "Leave it out, and put a top-k operator after the model"
UNMAPPED = (
    "concept-map: their synonyms are in an app's knowledge graph, not in the file. Write them as "
    "`mapping: {their-name: our-name}` below output_info.params"
)
LISTING = "max_concepts"  # how many concepts an answer there lists: here each lists all, so that none is lost
# What `annotation_status` decides is decided here by scores. Labels are those of each concept that is left, as there.
# Under REVIEW a score of exactly 1 is accepted all the same: no `sure` lies above it.
ACCEPTED = {"sure": 0.0, "unsure": 0.0, "several": True}
REVIEW = {"sure": 1.0, "unsure": 0.0, "several": True}
STATUS = {"SUCCESS": ACCEPTED, "PENDING": REVIEW, "AWAITING_REVIEW": REVIEW}
NUMBERS = {
    "24150": "SUCCESS",
    "24151": "PENDING",
    "24157": "AWAITING_REVIEW",
    "24159": "AWAITING_CONSENSUS_REVIEW",
}
MARGIN = re.compile(r"margin-(\d{1,4})-image-crop")  # its public crops, by the percent of a region that they cut out
