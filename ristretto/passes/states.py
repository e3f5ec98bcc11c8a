"""The nets that one net of all phases may become."""

from __future__ import annotations

from ristretto.net import Net, NetState, Phase


def nets_of_states(net: Net) -> list[Net]:
    """Give the net of every state that its rules tell apart; of one phase, the net itself.

    Layers keep the operations that they have in all phases, and nothing is checked: no one need be able to run a net
    that a level or a stage asks for.
    """
    if net.state:
        return [net]
    rules = [rule for layer in net for rule in (*layer.include, *layer.exclude)]
    levels = {0} | {level for rule in rules for level in (rule.min_level, rule.max_level) if level is not None}
    stages = {frozenset[str]()} | {chosen for rule in rules for chosen in (rule.stages, rule.not_stages)}
    states = [NetState(phase, level, chosen) for phase in Phase for level in sorted(levels) for chosen in stages]
    return [Net(net.name, tuple(layer for layer in net if layer.takes_part(state)), state) for state in states]
