"""How well things are followed through a video: the tracks found against the tracks that people labelled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy.optimize import linear_sum_assignment

from tasks.metrics.curves import rates

Array = np.ndarray
ALPHAS = np.arange(1, 20) / 20  # the overlaps .05, .10, … .95 that HOTA is the mean over
HAIR = 1e-10  # an overlap that arithmetic made so much smaller still reaches its threshold
MOSTLY, HARDLY = 0.8, 0.2  # of its boxes: from here on a track is mostly tracked, below it is mostly lost
LIVES = ("mostly_tracked", "partially_tracked", "mostly_lost")  # every labelled track is one of these


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """The boxes of things that are followed through one video, in any order; checked once when made.

    frame: (N,) int64, any numbers that rise with time.  track: (N,) int64, which thing it is, at most once in a frame.
    boxes: (N, 4) float64, xyxy, pixels.  Raises ValueError where a column is not so.
    """

    frame: Array
    track: Array
    boxes: Array

    def __post_init__(self) -> None:
        count = len(self.frame)
        kinds = {"frame": ((count,), "int64"), "track": ((count,), "int64"), "boxes": ((count, 4), "float64")}
        for name, (shape, kind) in kinds.items():
            column = getattr(self, name)
            if column.shape != shape or column.dtype != kind:
                raise ValueError(f"{name} must be {shape} {kind}, got {column.shape} {column.dtype.name}")
        if not np.isfinite(self.boxes).all() or (self.boxes[:, 2:] < self.boxes[:, :2]).any():
            raise ValueError("boxes must be finite x0, y0, x1, y1 with x0 <= x1 and y0 <= y1")
        order = np.lexsort((self.track, self.frame))
        frame, track = self.frame[order], self.track[order]
        for again in np.flatnonzero((frame[1:] == frame[:-1]) & (track[1:] == track[:-1]))[:1]:
            raise ValueError(f"track {track[again]} is more than once in frame {frame[again]}")


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """What is counted in one video or more. It adds up, and every number of a report follows from it.

    labelled, found: boxes.  matched: labelled boxes that a found one follows.  overlap: the sum of their IoU.
    id_switches, fragments, LIVES: as in the summary.  id_matched: boxes that overlap in the best assignment of whole
    tracks (IDTP).  By alpha: hits (19,) int64, boxes matched; located (19,) float64, the sum of their IoU; associated
    (19,) float64, the sum over them of how far their two tracks agree, A(c).
    """

    labelled: int
    found: int
    matched: int
    overlap: float
    id_switches: int
    fragments: int
    mostly_tracked: int
    partially_tracked: int
    mostly_lost: int
    id_matched: int
    hits: Array
    located: Array
    associated: Array


@dataclass(frozen=True, slots=True, eq=False)
class TrackingReport:
    """What was measured of the tracks found in one video or more. Fractions at most 1; nan is undefined.

    summary: mota (may be below 0), motp, precision, recall, idf1, idp, idr, hota, deta, assa, loca, and the counts
    false_positives, misses, id_switches, fragments, LIVES, tracks and boxes (labelled); `tracking` says what each is.
    hota_by_alpha: (19,) float64, HOTA at each of ALPHAS.  iou: by how much boxes had to overlap for all but HOTA.
    sums: what it all follows from.
    """

    summary: dict[str, float]
    hota_by_alpha: Array
    iou: float
    sums: Sums


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Every labelled and found box of the same frame that overlap, frame by frame.

    frame: (P,) int64, rising.  row, column: (P,) int64, which labelled and which found box.
    truth, found: (P,) int64, index of the track of each.  iou: (P,) float64, above 0.
    """

    frame: Array
    row: Array
    column: Array
    truth: Array
    found: Array
    iou: Array

    def frames(self, which: Array) -> list[Array]:
        """Indexes of the pairs that a mask (P,) bool picks, one frame at a time; frames without any are left out."""
        picked = np.flatnonzero(which)
        return np.split(picked, np.flatnonzero(np.diff(self.frame[picked])) + 1) if len(picked) else []


def tracking(truth: Tracks, found: Tracks, iou: float = 0.5) -> TrackingReport:
    """Measure the tracks found in one video against the labelled ones.

    CLEAR MOT (Bernardin and Stiefelhagen 2008). In each frame a labelled track keeps the found one that it was matched
    with last, however long ago, where both are there and overlap by `iou`; of two that claim the same one, that with
    the later match. The others are matched, as many as can be, with the largest sum of overlaps.
    mota: 1 − (misses + false positives + switches) / labelled boxes.  motp: mean IoU of the matched boxes.
    id_switches: matches with another found track than the last.  fragments: how often a track that is there is lost
    and found again.  A track is mostly tracked with at least 80 % of its boxes matched, mostly lost with less than
    20 % (Milan et al., "MOT16", 2016).

    Identity (Ristani et al. 2016). Whole tracks are assigned one to one, so that most boxes overlap by `iou`: IDTP.
    idf1, idp, idr: 2 IDTP / (labelled + found), IDTP / found, IDTP / labelled.

    HOTA (Luiten et al. 2020). Means over ALPHAS.  deta: TP / (TP + FN + FP).  assa: mean over TP of the tracks' own
    TPA / (TPA + FNA + FPA).  hota: √(DetA · AssA).  loca: mean IoU of TP.  Boxes are matched as in the authors'
    TrackEval: once for all alphas, with the largest sum of overlap times how far the whole tracks agree. Where nothing
    is matched at an alpha AssA is 0 and LocA 1, as there; where nothing is at any alpha both means are nan.

    What would be divided by 0 is nan.  Raises ValueError unless `iou` is in (0, 1].
    """
    if not 0 < iou <= 1:
        raise ValueError(f"iou must be above 0 and at most 1, got {iou}")
    _, labelled, true_lengths = np.unique(truth.track, return_inverse=True, return_counts=True)
    _, followed, found_lengths = np.unique(found.track, return_inverse=True, return_counts=True)
    pairs = _pairs(truth, found, labelled, followed)
    near = pairs.iou >= iou - HAIR
    matched, switches = _follow(pairs, near, len(true_lengths))
    hit = np.zeros(len(labelled), bool)
    hit[pairs.row[matched]] = True
    share = np.bincount(labelled[hit], minlength=len(true_lengths)) / true_lengths
    hits, located, associated = _higher_order(pairs, true_lengths, found_lengths)
    sums = Sums(
        labelled=len(labelled),
        found=len(followed),
        matched=len(matched),
        overlap=float(pairs.iou[matched].sum()),
        id_switches=switches,
        fragments=_fragments(truth.frame, labelled, hit),
        mostly_tracked=int((share >= MOSTLY).sum()),
        partially_tracked=int(((share >= HARDLY) & (share < MOSTLY)).sum()),
        mostly_lost=int((share < HARDLY).sum()),
        id_matched=_identities(pairs.truth[near], pairs.found[near]),
        hits=hits,
        located=located,
        associated=associated,
    )
    return _report(sums, iou)


def combined(reports: Sequence[TrackingReport]) -> TrackingReport:
    """One report of several videos, from the sums of their counts: a long video weighs more than a short one.

    HOTA and what belongs to it from the sums at each alpha, so that AssA and LocA are weighted by TP, as the paper's
    reference does.  Raises ValueError where there is no report, or they were made at different `iou`.
    """
    if len({report.iou for report in reports}) != 1:
        raise ValueError(f"one or more reports at the same iou are needed, got {[report.iou for report in reports]}")
    names = [field.name for field in fields(Sums)]
    return _report(Sums(**{name: sum(getattr(one.sums, name) for one in reports) for name in names}), reports[0].iou)


def _pairs(truth: Tracks, found: Tracks, labelled: Array, followed: Array) -> _Pairs:
    """All pairs of boxes that overlap; labelled, followed: the index of the track of each box."""
    frames = np.intersect1d(truth.frame, found.frame)
    row, column, iou = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    for ours, theirs in zip(_split(truth.frame, frames), _split(found.frame, frames), strict=True):
        i, j, shared = _overlaps(truth.boxes[ours], found.boxes[theirs])
        row.append(ours[i])
        column.append(theirs[j])
        iou.append(shared)
    rows, columns = np.concatenate(row), np.concatenate(column)
    return _Pairs(truth.frame[rows], rows, columns, labelled[rows], followed[columns], np.concatenate(iou))


def _split(frame: Array, frames: Array) -> list[Array]:
    """Indexes of the boxes of each of some rising frames."""
    order = np.argsort(frame, kind="stable")
    first, end = (np.searchsorted(frame[order], frames, side) for side in ("left", "right"))
    return [order[a:b] for a, b in zip(first, end, strict=True)]


def _overlaps(ours: Array, theirs: Array) -> tuple[Array, Array, Array]:
    """Row, column and IoU of the xyxy boxes (A, 4) and (B, 4) that overlap."""
    low = np.maximum(ours[:, None, :2], theirs[:, :2])
    high = np.minimum(ours[:, None, 2:], theirs[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    row, column = np.nonzero(shared)
    areas, others = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (ours, theirs))
    shared = shared[row, column]
    return row, column, shared / (areas[row] + others[column] - shared)


def _assign(truth: Array, found: Array, gain: Array) -> Array:
    """Indexes of those of P pairs that give the largest sum of gains (P,), above 0, with each track in one at most."""
    rows, i = np.unique(truth, return_inverse=True)
    columns, j = np.unique(found, return_inverse=True)
    table, picked = np.zeros((len(rows), len(columns))), np.zeros((len(rows), len(columns)), bool)
    table[i, j] = gain
    picked[linear_sum_assignment(table, maximize=True)] = True
    return np.flatnonzero(picked[i, j])


def _follow(pairs: _Pairs, near: Array, tracks: int) -> tuple[Array, int]:
    """Indexes of the pairs matched, of those that are near (P,) bool, and how many of them switch a labelled track."""
    last, since = np.full((2, tracks), -1)  # the found track that each was matched with last, and when
    matched, switches = [np.zeros(0, np.int64)], 0
    for now, here in enumerate(pairs.frames(near)):
        kept = here[last[pairs.truth[here]] == pairs.found[here]]
        kept = kept[np.argsort(-since[pairs.truth[kept]])]
        kept = kept[np.unique(pairs.found[kept], return_index=True)[1]]
        taken = np.isin(pairs.truth[here], pairs.truth[kept]) | np.isin(pairs.found[here], pairs.found[kept])
        free = here[~taken]
        # With a gain of that much for each pair, as many as can be are matched before any overlap counts.
        new = free[_assign(pairs.truth[free], pairs.found[free], pairs.iou[free] + len(free))]
        switches += int((last[pairs.truth[new]] >= 0).sum())  # its last one is taken or away: this is another
        done = np.concatenate([kept, new])
        last[pairs.truth[done]], since[pairs.truth[done]] = pairs.found[done], now
        matched.append(done)
    return np.concatenate(matched), switches


def _fragments(frame: Array, track: Array, hit: Array) -> int:
    """Stretches in which labelled tracks are matched box after box, beyond the first of each track."""
    order = np.lexsort((frame, track))
    track, hit = track[order], hit[order]
    begins = hit & ((np.diff(track, prepend=-1) != 0) | ~np.roll(hit, 1))
    return int(begins.sum()) - len(np.unique(track[hit]))


def _couples(truth: Array, found: Array) -> tuple[Array, Array, Array]:
    """The different pairs of tracks (U,) and (U,) among pairs of boxes (P,), and of each of these which it is of."""
    width = found.max(initial=0) + 1
    keys, which = np.unique(truth * width + found, return_inverse=True)
    return keys // width, keys % width, which


def _identities(truth: Array, found: Array) -> int:
    """IDTP: most pairs of near boxes in whole tracks assigned to each other: so fewest false positives and misses."""
    ours, theirs, which = _couples(truth, found)
    times = np.bincount(which)
    return int(times[_assign(ours, theirs, times)].sum())


def _higher_order(pairs: _Pairs, true_lengths: Array, found_lengths: Array) -> tuple[Array, Array, Array]:
    """Hits, located and associated of HOTA's sums."""
    ours, theirs, which = _couples(pairs.truth, pairs.found)
    boxes = true_lengths[ours] + found_lengths[theirs]  # of the two tracks together
    rivals = np.bincount(pairs.row, pairs.iou)[pairs.row] + np.bincount(pairs.column, pairs.iou)[pairs.column]
    together = np.bincount(which, pairs.iou / (rivals - pairs.iou), minlength=len(boxes))
    gain = (together / (boxes - together))[which] * pairs.iou
    matched = [np.zeros(0, np.int64)]
    for here in pairs.frames(gain > 0):
        matched.append(here[_assign(pairs.truth[here], pairs.found[here], gain[here])])
    chosen = np.concatenate(matched)
    near = pairs.iou[chosen] >= ALPHAS[:, None] - HAIR
    times = np.stack([np.bincount(which[chosen[row]], minlength=len(boxes)) for row in near])
    return near.sum(axis=1), (near * pairs.iou[chosen]).sum(axis=1), (times * times / (boxes - times)).sum(axis=1)


def _report(sums: Sums, iou: float) -> TrackingReport:
    both, most, hit = sums.labelled + sums.found, np.maximum(sums.hits, 1), sums.hits > 0
    deta = sums.hits / (both - sums.hits) if both else np.full(len(ALPHAS), math.nan)
    assa, loca = sums.associated / most, np.where(hit, sums.located / most, 1)
    hota = np.sqrt(deta * assa)
    misses, extra = sums.labelled - sums.matched, sums.found - sums.matched
    boxes = rates(sums.matched, extra, misses)
    identities = rates(sums.id_matched, sums.found - sums.id_matched, sums.labelled - sums.id_matched)
    summary = {
        "mota": 1 - (misses + extra + sums.id_switches) / sums.labelled if sums.labelled else math.nan,
        "motp": sums.overlap / sums.matched if sums.matched else math.nan,
        "precision": boxes["Precision"],
        "recall": boxes["Recall"],
        "idf1": identities["F1"],
        "idp": identities["Precision"],
        "idr": identities["Recall"],
        "hota": float(hota.mean()),
        "deta": float(deta.mean()),
        "assa": float(assa.mean()) if hit.any() else math.nan,
        "loca": float(loca.mean()) if hit.any() else math.nan,
        "false_positives": extra,
        "misses": misses,
        **{name: getattr(sums, name) for name in ("id_switches", "fragments", *LIVES)},
        "tracks": sum(getattr(sums, name) for name in LIVES),
        "boxes": sums.labelled,
    }
    return TrackingReport(summary, hota, iou, sums)
