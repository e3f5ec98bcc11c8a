"""The Pareto front as a chart: score against cost."""

from __future__ import annotations

from markupsafe import Markup

from ristretto.report.page import figures
from ristretto.report.page.axes import Axis, grid, widened
from ristretto.report.page.model import Front, Result
from ristretto.report.page.svg import path, picture, tag

WIDTH, HEIGHT = 440, 290
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 14, 46


def drawn(front: Front, result: Result) -> Markup | None:
    """Draw a front as steps, with the other nets that were scored beside it; None where no net has a score."""
    better = result.higher_is_better
    nets = [(net.cost, net.score, net) for net in front.nets if net.score is not None]
    if not nets:
        return None
    same_cost = result.cost is not None and result.cost.name == front.cost
    others = [
        (attempt.cost, attempt.score)
        for attempt in result.attempts
        if same_cost and attempt.cost is not None and attempt.score is not None and not attempt.stopped
    ]
    costs = [cost for cost, _, _ in nets]
    reach = max(costs) + 0.15 * (max(costs) - min(costs) or max(costs) or 1)
    # What costs far more than the front's dearest net would press the front into a corner.
    others = [(cost, score) for cost, score in others if cost <= reach]
    baseline = result.decided_baseline
    levels = [] if baseline is None else [baseline]
    y = Axis(
        *widened([score for _, score, _ in nets] + [score for _, score in others] + levels, least=0.002),
        HEIGHT - BOTTOM,
        TOP,
    )
    x = Axis(*widened([*costs, *(cost for cost, _ in others)], 0.04), LEFT, WIDTH - RIGHT)
    ticks = y.ticks(5)
    digits = 0 if ticks[-1] - ticks[0] >= 0.04 else 2
    inside = grid(
        x, y, x.ticks(4), ticks, figures.count, (lambda t: f"{100 * t:.{digits}f} %") if better else figures.real
    )
    if baseline is not None:
        inside.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y.at(baseline), y2=y.at(baseline), class_="baseline"))
    inside += [tag("circle", cx=x.at(cost), cy=y.at(score), r=2.5, class_="other") for cost, score in others]
    # Between two nets there is none: what the cheaper one scores holds until the next one's cost is paid.
    steps: list[tuple[float, float]] = []
    for cost, score, _ in nets:
        if steps:
            steps.append((x.at(cost), steps[-1][1]))
        steps.append((x.at(cost), y.at(score)))
    inside.append(tag("path", d=path(steps), class_="line s0"))
    for cost, score, net in nets:
        words = f"{net.prototxt}: {figures.count(cost)} {front.unit}, {figures.score(score, higher_is_better=better)}"
        title = tag("title", f"{words}{', chosen' if net.chosen else ''}")
        inside.append(tag("circle", title, cx=x.at(cost), cy=y.at(score), r=4.5, class_="dot s0"))
        if net.chosen:
            inside.append(tag("circle", cx=x.at(cost), cy=y.at(score), r=9, class_="chosen"))
    name = front.cost.replace("_", " ")
    axis = name if name.endswith(front.unit) else f"{name}, {front.unit}"
    inside.append(tag("text", axis, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 6, class_="label middle"))
    dear, cheap = nets[-1], nets[0]
    label = (
        f"Pareto front of {len(nets)} nets, from {figures.count(cheap[0])} {front.unit} with "
        f"{figures.score(cheap[1], higher_is_better=better)} to {figures.count(dear[0])} {front.unit} with "
        f"{figures.score(dear[1], higher_is_better=better)}. The table beside it has each net."
    )
    return picture(WIDTH, HEIGHT, label, inside, class_="chart")
