"""Phases and the rules that put a layer into them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Phase(Enum):
    """Caffe's two phases."""

    TRAIN = "TRAIN"
    TEST = "TEST"


@dataclass(frozen=True)
class NetState:
    """What the rules are tested against: phase, level and stages (Caffe's ``NetState``)."""

    phase: Phase = Phase.TEST
    level: int = 0
    stages: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Rule:
    """One ``include`` or ``exclude``: met when every condition it names holds."""

    phase: Phase | None = None
    min_level: int | None = None
    max_level: int | None = None
    stages: frozenset[str] = frozenset()
    not_stages: frozenset[str] = frozenset()

    def met_by(self, state: NetState) -> bool:
        """Whether a state meets all conditions of the rule."""
        return (
            (self.phase is None or self.phase is state.phase)
            and (self.min_level is None or state.level >= self.min_level)
            and (self.max_level is None or state.level <= self.max_level)
            and self.stages <= state.stages
            and not (self.not_stages & state.stages)
        )
