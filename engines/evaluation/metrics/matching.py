"""Which pairs of a true and a spotted interval are hits, by rules that have names.

Rows of one video and type are compared with each other alone. Frames are inclusive: both ends
count. The order of the rows in a table decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ...data.annotations import Interval
from ...errors import UsageError
from .candidates import Candidates, Columns, Ints, candidates, columns, group_key

HIT_IOU = 0.5  # T_eval [S1 M12]: a spotted interval hits a truth at this IoU or above

# What each rule counts, for the protocol of a report.
RULES = {
    "one_to_one": "each truth and each spotted interval in one pair at most, as many pairs as "
    "there can be; tp pairs, fp spotted without a pair, fn truths without one",
    "megc2020_gt_hit": "tp truths that any spotted interval hits (it may serve several); "
    "fp spotted less tp, fn truths less tp",
    "voc_greedy": "by score, each spotted interval takes its best truth or, if that is taken, "
    "none; tp pairs, fp spotted without a pair, fn truths without one",
    "str_eval_relaxed": "tp all pairs, whether or not matched before; fp spotted in no pair, "
    "fn truths less tp (below 0 where a truth is hit twice)",
}

Matcher = Callable[[Candidates, Columns, Columns], NDArray[np.bool_]]


def frame_iou(a: Interval, b: Interval) -> float:
    """IoU of two inclusive frame intervals, 0 for disjoint ones: both end frames count [S1 M12]."""
    inter = min(a.offset, b.offset) - max(a.onset, b.onset) + 1
    if inter <= 0:
        return 0.0
    return inter / ((a.offset - a.onset + 1) + (b.offset - b.onset + 1) - inter)


def check_rule(rule: str, iou: float) -> None:
    """Raise UsageError for an unknown rule and for an IoU outside (0, 1]."""
    if rule not in RULES:
        raise UsageError(f"rule {rule!r}: choose one of {', '.join(RULES)}")
    if not 0 < iou <= 1:
        raise UsageError(f"iou {iou}: expected above 0, at most 1")


def match(
    truth: Sequence[Interval], found: Sequence[Interval], rule: str, iou: float
) -> list[tuple[int, int]]:
    """Pairs (truth index, found index) of one video and type, by truth. Raises as `check_rule`."""
    check_rule(rule, iou)
    return sorted(_hits(truth, found, lambda _: (), rule, iou))


def matches(
    truth: Sequence[Interval], found: Sequence[Interval], rule: str, iou: float
) -> list[tuple[Interval, Interval]]:
    """Matched (truth, found) pairs over all videos; types are matched within themselves.

    Subjects are told apart where every row names its subject. Raises DataError where the truth
    needs that (two subjects have a video of one name) and the rows do not, UsageError as `match`.
    """
    check_rule(rule, iou)
    pairs = _hits(truth, found, group_key(truth, found), rule, iou)
    return [(truth[t], found[f]) for t, f in pairs]


def _hits(
    truth: Sequence[Interval],
    found: Sequence[Interval],
    key: Callable[[Interval], tuple[str, ...]],
    rule: str,
    iou: float,
) -> list[tuple[int, int]]:
    codes: dict[tuple[str, ...], int] = {}
    true = columns(truth, key, codes)
    spotted = columns(found, key, codes)
    chosen = hits(candidates(true, spotted, iou), true, spotted, rule)
    return list(zip(chosen.truth.tolist(), chosen.found.tolist(), strict=True))


def hits(pairs: Candidates, truth: Columns, found: Columns, rule: str) -> Candidates:
    """Those of the pairs that a rule counts."""
    chosen = MATCHERS[rule](pairs, truth, found)
    return Candidates(pairs.truth[chosen], pairs.found[chosen], pairs.overlap[chosen])


def one_to_one(overlap: NDArray[np.float64], iou: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of an IoU table (T, P) that reach `iou`, by row; each side once.

    As many pairs as there can be, and of such matchings the one with the largest sum of IoU. To
    take the best pair first can leave fewer: it may hold the only partner of another row. Not from
    the papers: the author's rule is megc2020_gt_hit [S1 M12].
    """
    from scipy.optimize import linear_sum_assignment  # 0.2 s, which only scoring needs

    enough = overlap >= iou
    one_pair_more = 1.0 + min(overlap.shape)  # outweighs every sum of IoU
    worth = np.where(enough, one_pair_more + overlap, 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    chosen = enough[rows, columns]
    return list(zip(rows[chosen].tolist(), columns[chosen].tolist(), strict=True))


def _one_to_one(pairs: Candidates, truth: Columns, found: Columns) -> NDArray[np.bool_]:
    """`one_to_one` among pairs: each cluster of pairs that share rows is judged by itself."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    t, f = pairs.truth, pairs.found
    first_f = len(truth.group)
    nodes = first_f + len(found.group)
    edges = coo_array((np.ones(len(t), np.int8), (t, first_f + f)), shape=(nodes, nodes))
    cluster = connected_components(edges, directed=False)[1][t].astype(np.int64)
    chosen = _first_of(cluster, np.argsort(-pairs.overlap, kind="stable"))
    # A cluster of one truth or of one spotted interval has one pair: its best, which is chosen.
    several = _distinct(cluster, t) & _distinct(cluster, f)
    order = np.flatnonzero(several)
    order = order[np.argsort(cluster[order], kind="stable")]
    chosen[order] = False
    for each in np.split(order, np.flatnonzero(np.diff(cluster[order])) + 1):
        rows, row = np.unique(truth.rank[t[each]], return_inverse=True)
        cols, col = np.unique(found.rank[f[each]], return_inverse=True)
        table = np.zeros((len(rows), len(cols)))
        table[row, col] = pairs.overlap[each]
        best = set(one_to_one(table, np.nextafter(0, 1)))
        chosen[each] = [pair in best for pair in zip(row.tolist(), col.tolist(), strict=True)]
    return chosen


def _distinct(cluster: Ints, rows: Ints) -> NDArray[np.bool_]:
    """Whether the cluster of each pair holds pairs of more than one row."""
    if not len(cluster):
        return np.zeros(0, bool)
    low = np.full(cluster.max() + 1, rows.max() + 1)
    high = np.full(cluster.max() + 1, -1)
    np.minimum.at(low, cluster, rows)
    np.maximum.at(high, cluster, rows)
    return np.asarray((low != high)[cluster])


def _first_of(keys: Ints, order: Ints) -> NDArray[np.bool_]:
    """Which pairs are the first of their key, in the given order."""
    chosen = np.zeros(len(keys), bool)
    chosen[order[np.unique(keys[order], return_index=True)[1]]] = True
    return chosen


def _gt_hit(pairs: Candidates, truth: Columns, found: Columns) -> NDArray[np.bool_]:
    """For each truth that is hit, the best pair."""
    return _first_of(pairs.truth, np.argsort(-pairs.overlap, kind="stable"))


def _voc_greedy(pairs: Candidates, truth: Columns, found: Columns) -> NDArray[np.bool_]:
    """For each spotted interval its best truth; for each truth the one with the highest score."""
    best = np.flatnonzero(_first_of(pairs.found, np.argsort(-pairs.overlap, kind="stable")))
    f = pairs.found[best]
    by_score = np.lexsort((found.rank[f], -np.nan_to_num(found.score[f])))
    chosen = np.zeros(len(pairs.truth), bool)
    chosen[best[_first_of(pairs.truth[best], by_score)]] = True
    return chosen


def _relaxed(pairs: Candidates, truth: Columns, found: Columns) -> NDArray[np.bool_]:
    return np.ones(len(pairs.truth), bool)


MATCHERS: dict[str, Matcher] = {
    "one_to_one": _one_to_one,
    "megc2020_gt_hit": _gt_hit,
    "voc_greedy": _voc_greedy,
    "str_eval_relaxed": _relaxed,
}
