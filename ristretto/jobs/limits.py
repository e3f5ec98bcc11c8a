"""What a job's score must reach, whatever it is made from."""

from __future__ import annotations

import math
from decimal import Decimal

from ristretto.errors import JobError
from ristretto.jobs.job import Job
from ristretto.jobs.lock import Scores


def missed(job: Job, scores: Scores) -> list[str]:
    """Say which limits of a job its score misses, in a few words each.

    Raises
    ------
    JobError
        When the limit is one for scores of another kind.
    """
    found = []
    for limit, is_for_accuracy in ((job.minimum_accuracy, True), (job.max_loss, False)):
        if limit is None:
            continue
        if scores.higher_is_better is not is_for_accuracy:
            asked, other = ("minimum_accuracy", "max_loss")[:: 1 if is_for_accuracy else -1]
            kind = "an accuracy" if scores.higher_is_better else "a loss"
            raise JobError(f"{asked} does not fit: the score '{scores.blob}' is {kind}", hint=f"set {other} instead")
        # Not the other way round: a score that is no number holds no limit.
        holds = scores.score >= limit if is_for_accuracy else scores.score <= limit
        if not holds:
            side = "below" if is_for_accuracy else "above"
            found.append(f"{scores.blob} {scores.score:.6g} is {side} the limit {limit:g}")
    return found


def fell(before: Scores, after: Scores, tolerance: float) -> str:
    """Say that a score is worse than it was; empty where it is not.

    Parameters
    ----------
    before, after : Scores
    tolerance : float
        By how much it may be worse: percentage points of an accuracy, hundredths of a loss.
    """
    if (before.blob, before.higher_is_better) != (after.blob, after.higher_is_better):
        return f"the score was '{before.blob}' and is now '{after.blob}'"
    if _holds(before.score, after.score, after.higher_is_better, tolerance):
        return ""
    verb = "fell" if after.higher_is_better else "rose"
    old, new = f"{before.score:.6g}", f"{after.score:.6g}"
    if old == new:
        old, new = repr(before.score), repr(after.score)
    return f"{after.blob} {verb} from {old} to {new}"


def _holds(before: float, after: float, higher_is_better: bool, tolerance: float) -> bool:
    if not (math.isfinite(before) and math.isfinite(after)):
        return not math.isfinite(before)
    # As they are written: from 0.99 to 0.98 is one point, which is not so in binary fractions.
    old, new, points = (Decimal(repr(number)) for number in (before, after, tolerance))
    return (old - new if higher_is_better else new - old) * 100 <= points
