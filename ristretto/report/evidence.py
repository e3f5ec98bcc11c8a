"""How a score's evidence is told: the interval of its difference to the baseline, and the batches behind it."""

from __future__ import annotations

from typing import Any

from ristretto.search import PRESETS, Comparison, Interval, Score, SearchResult, Trial


def is_weighed(search: SearchResult) -> bool:
    """Whether the search has weighed evidence; else there is nothing to tell."""
    return PRESETS[search.preset].weighs_evidence


def unit(search: SearchResult) -> str:
    """Give what differences are told in: percentage points of an accuracy, hundredths of a loss."""
    return "points" if search.higher_is_better else "hundredths"


def interval(difference: Interval | None) -> str:
    """Give the interval of a difference, in hundredths; empty when it is not known."""
    return "" if difference is None else f"{_short(difference.low)} .. {_short(difference.high)}"


def outcome(trial: Trial) -> str:
    """Say whether a trial holds, and after how many batches that was certain, if it did not take all of them."""
    holds = "yes" if trial.holds else "no"
    return holds if trial.score.whole else f"{holds} at {batches(trial.score)}"


def batches(score: Score) -> int | None:
    """Give how many batches a score is of."""
    return None if score.marks is None else score.marks.batches


def closing(search: SearchResult) -> str:
    """Give a sentence on the evidence of the reported score; empty where there is none."""
    if not is_weighed(search):
        return ""
    told = []
    if search.reported is not search.decided:
        told.append(f"That is on {_counted(batches(search.score))} that no choice has looked at")
        if search.decided.holds and not search.within_margin:
            told.append("on those that were looked at it held")
    if (difference := search.reported.difference) is not None:
        low, high = (f"{100 * end:+.2f}" for end in (difference.low, difference.high))
        told.append(f"at 95 % confidence the change lies between {low} and {high} {unit(search)}")
    text = "; ".join(told)
    return f"\n{text[:1].upper()}{text[1:]}." if told else ""


def margin(search: SearchResult) -> str:
    """Give the margin, and the confidence that it must hold with."""
    sure = "" if search.confidence is None else f", at {100 * search.confidence:g} % confidence"
    return f"{search.error_margin:g}{sure}"


def legend(search: SearchResult) -> str:
    """Explain the columns of evidence in a table of trials; empty where there are none."""
    if not is_weighed(search):
        return ""
    text = f"change: where the score less the baseline lies, {unit(search)}, at 95 % confidence\n"
    if not all(trial.score.whole for trial in search.trials):
        everything = _counted(batches(search.decided.baseline))
        text += f"holds: 'at' says after how many of {everything} that was certain; the score is then of those alone\n"
    return text


def of_trial(trial: Trial) -> dict[str, Any]:
    """Give a trial's evidence as plain data; the interval as fractions."""
    return {
        "difference": _plain(trial.difference),
        "batches": batches(trial.score),
        "stopped": not trial.score.whole,
    }


def of_search(search: SearchResult) -> dict[str, Any]:
    """Give a search's evidence as plain data; scores as fractions."""
    split = search.reported is not search.decided
    return {
        "difference": _plain(search.reported.difference),
        "confidence": search.confidence,
        "batches": {
            "deciding": batches(search.decided.score),
            "reporting": batches(search.reported.score) if split else 0,
        },
        "decided": _comparison(search.decided) if split else None,
    }


def _short(part: float) -> str:
    """Give a fraction in hundredths, in three digits."""
    value = 100 * part
    return f"{value:+.1f}" if abs(value) >= 9.995 else f"{value:+.2f}"


def _counted(number: int | None) -> str:
    return f"{number} batch" if number == 1 else f"{number} batches"


def _comparison(found: Comparison) -> dict[str, Any]:
    return {
        "baseline_score": found.baseline.value,
        "baseline_score_argmax": found.baseline.argmax,
        "score": found.score.value,
        "score_argmax": found.score.argmax,
        "difference": _plain(found.difference),
        "within_margin": found.holds,
    }


def _plain(difference: Interval | None) -> dict[str, float] | None:
    return None if difference is None else vars(difference).copy()
