"""Marks: what a net scored, batch by batch and picture by picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.execute import Scores
from ristretto.execute.score import Observations
from ristretto.net.op import Array


@dataclass(frozen=True, eq=False)
class Marks:
    """What a net scored on consecutive batches, in the order of the data.

    Parameters
    ----------
    batches : int
        At least one; all of one size.
    seen : bool array (pictures,) or float64 array (batches,)
        For each picture whether it counts as right; each batch's score where pictures do not count one by one.
    argmax : like `seen`, or None
        The same for the score by argmax, where there is one.
    """

    batches: int
    seen: Observations
    argmax: Observations | None = None

    @classmethod
    def of(cls, scores: Scores, blob: str) -> Marks:
        """Give what an output blob scored."""
        return cls(scores.iterations, scores.observations[blob], scores.observations.get(f"{blob}_argmax"))

    @classmethod
    def joined(cls, parts: Sequence[Marks]) -> Marks:
        """Give the marks on batches that follow each other, from those of pieces in their order."""
        argmax = [part.argmax for part in parts if part.argmax is not None]
        return cls(
            sum(part.batches for part in parts),
            np.concatenate([part.seen for part in parts]),
            np.concatenate(argmax) if argmax else None,
        )

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Array]) -> Marks:
        """Give the marks that `arrays` has put away."""
        return cls(int(arrays["batches"]), arrays["seen"], arrays.get("argmax"))

    def arrays(self) -> dict[str, Array]:
        """Give all that they are, to be put away."""
        kept = {"batches": np.array(self.batches), "seen": self.seen}
        return kept if self.argmax is None else {**kept, "argmax": self.argmax}

    def first(self, batches: int) -> Marks:
        """Give the marks on the first of these batches."""
        share = [
            None if seen is None else seen[: len(seen) // self.batches * batches] for seen in (self.seen, self.argmax)
        ]
        assert share[0] is not None
        return Marks(batches, share[0], share[1])

    @property
    def value(self) -> float:
        """The score: the mean over the batches, a fraction."""
        return self._mean(self.seen)

    @property
    def argmax_value(self) -> float | None:
        """The score by argmax."""
        return None if self.argmax is None else self._mean(self.argmax)

    @property
    def total(self) -> float:
        """The sum of the batches' scores, added up as `execute.score` does."""
        return self._total(self.seen)

    def _mean(self, seen: Observations) -> float:
        return self._total(seen) / self.batches

    def _total(self, seen: Observations) -> float:
        # One after the other: to the last bit what `execute.score` makes of the batches, however they were cut up.
        total = 0.0
        for value in self._by_batch(seen).tolist():
            total += value
        return total

    def _by_batch(self, seen: Observations) -> Array:
        return seen.reshape(self.batches, -1).mean(axis=1) if seen.dtype == bool else seen
