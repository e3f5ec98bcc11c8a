"""SVG elements as text, in which nothing that comes from a file can become markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape


def number(value: float) -> str:
    """Give a coordinate with no more digits than show.

    Examples
    --------
    >>> [number(value) for value in (3.0, 2.456, -0.001)]
    ['3', '2.46', '0']
    """
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def tag(name: str, *inside: str, **attributes: str | float | None) -> Markup:
    """Give an element; what stands in it is escaped, unless it is an element itself.

    Parameters
    ----------
    name : str
    *inside : str or Markup
    **attributes : str, float or None
        An underscore stands for a hyphen, one at the end for nothing; None leaves an attribute out.

    Examples
    --------
    >>> tag("text", "a<b", x=1.5, class_="tick")
    Markup('<text x="1.5" class="tick">a&lt;b</text>')
    """
    written = [
        f' {key.rstrip("_").replace("_", "-")}="{escape(value) if isinstance(value, str) else number(value)}"'
        for key, value in attributes.items()
        if value is not None
    ]
    within = Markup("").join(inside)
    return Markup(f"<{name}{''.join(written)}>{within}</{name}>")


def path(points: Iterable[tuple[float, float]]) -> str:
    """Give the commands of a line through points."""
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)


def picture(width: float, height: float, label: str, inside: Sequence[str], **attributes: str) -> Markup:
    """Give a drawing that is read out as one picture.

    Parameters
    ----------
    width, height : float
        Of its own coordinates.
    label : str
        What it shows, in words.
    inside : sequence of Markup
    **attributes : str
        More attributes.
    """
    box = f"0 0 {number(width)} {number(height)}"
    return tag("svg", *inside, viewBox=box, role="img", aria_label=label, **attributes)
