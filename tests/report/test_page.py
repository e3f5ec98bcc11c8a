"""The page of a result: what stands in it, and what can never get into it."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import Counter
from hashlib import sha256
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import pytest

import ristretto.report.page
from ristretto.report.page import read, render
from tests.report.page_data import Plain, changed, findings, front, result, sweep

VOID = {"meta", "link", "br"}
FOLDER = Path(ristretto.report.page.__file__).parent


class Outline(HTMLParser):
    """Takes a page apart; says when an element is not closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return plain(" ".join(" ".join(self.texts).split()))

    def values(self, name: str) -> list[str]:
        return [plain(found[name]) for _, found in self.attributes if name in found]


def plain(text: str) -> str:
    """Give a text with hyphens for minus signs and dashes."""
    return text.replace("\u2212", "-").replace("\u2013", "-")


def page(data: Plain) -> str:
    return render(findings(data)).decode()


def outline(data: Plain) -> Outline:
    return Outline(page(data))


def test_the_page_says_what_came_out() -> None:
    text = outline(result()).text
    assert "Dynamic fixed point: accuracy 98.00 %, where the float net has 99.50 % (-1.50 points)." in text
    assert "The margin of 2 points holds" in text
    assert "95 % interval of the change -3.40 … +0.45" in text
    # 480 of 3,840 bits, and 128 of 1,024.
    assert "60 B of 480 B in float: 12.5 %" in text
    assert "16 B of 128 B in float, for one picture: 12.5 %" in text
    assert "4 / 4 CONV weights / layer outputs" in text
    assert "10 batches of digits" in text
    assert "a note" in text


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"within_margin": False}, "The margin of 2 points is missed"),
        ({"error_margin": 1.0}, "The margin of 1 point holds"),
        ({"confidence": 0.95}, "The margin of 2 points holds, at 95 % confidence"),
        ({"score": 0.985}, "99.50 % (-1.00 point)."),
        ({"higher_is_better": False}, "accuracy 0.9800, where the float net has 0.9950 (-1.50 hundredths)."),
        ({"score": None}, "accuracy not a number, where"),
        ({"net": "", "front": None}, "Net without a name"),
        ({"trials": [], "sites": None, "cost": None}, "Nothing was searched: the widths were given."),
        ({"sites": None}, "Not measured: a search with --granularity layer"),
        ({"front": None}, "Not drawn: ristretto quantize --granularity layer --pareto DIR"),
        ({"bits": {"conv_params": None}}, "4 / 4 weights / layer inputs and outputs"),
    ],
)
def test_the_page_follows_the_result(change: Plain, shown: str) -> None:
    assert shown in outline(result() | change).text


def test_each_layer_has_a_row_with_its_figures() -> None:
    found = outline(changed(result(), "layers.1.formats.params", None))
    assert "second Convolution 4 2 0 … 1 exact 0 % float - -0.5 … 0.6 - - 4 1 -3 … 2.5 20.5 25 % 2 k 40 20 B 4 B" in (
        found.text
    )


def test_histograms_tell_where_formats_clip() -> None:
    labels = outline(result("conv")).values("aria-label")
    # 4 bits with fractional lengths of 2, 4 and 1.
    for place, low, high, share in (
        ("input", "-2", "1.75", "0 %"),
        ("weights", "-0.5", "0.438", "25 %"),
        ("output", "-4", "3.5", "25 %"),
    ):
        wanted = f"The format clips at {low} and {high}; {share} saturate."
        assert [label for label in labels if label.startswith(f"Histogram of conv, {place}: ") and wanted in label]


def test_the_clipping_lines_stand_where_the_format_ends() -> None:
    """The place from the picture's own numbers: the bar that ends at 0.6 and the line at 0.4375 lie in one scale."""
    drawing = re.findall(r'<svg[^>]*aria-label="Histogram of conv, weights.*?</svg>', page(result("conv")))[0]
    start, ends = re.search(r'd="M([\d.]+) ', drawing)[1], re.findall(r"H([\d.]+)", drawing)  # type: ignore[index]
    pixels = (float(ends[-1]) - float(start)) / 1.2
    lines = [float(x) for x in re.findall(r'<line x1="([\d.]+)"[^>]*class="clip"', drawing)]
    assert lines == pytest.approx([float(start) + pixels * (end + 0.6) for end in (-0.5, 0.4375)], abs=0.02)
    shades = re.findall(r'<rect x="([\d.]+)" [^>]*width="([\d.]+)"[^>]*class="beyond"', drawing)
    assert len(shades) == 2
    assert float(shades[1][0]) == pytest.approx(lines[1], abs=0.02)


def test_a_format_that_reaches_far_has_no_line() -> None:
    data = changed(result("conv"), "layers.0.formats.params.fl", -4)
    drawing = re.findall(r'<svg[^>]*aria-label="Histogram of conv, weights.*?</svg>', page(data))[0]
    assert 'class="clip"' not in drawing
    assert "clips at -128 and 112" in plain(page(data))


def test_trials_are_drawn_by_part() -> None:
    labels = [label for label in outline(result()).values("aria-label") if "score against bits" in label]
    # That of all parts is no number: it has no place in a chart.
    assert [label.split(":")[0] for label in labels] == ["CONV weights", "every layer"]
    assert "1 bits: 10.00 %, misses the margin; 4 bits: 98.50 %, holds; 8 bits: 99.00 %, holds" in labels[0]
    assert "4 / 4 bits: 98.00 %, holds" in labels[1]


def test_a_sweep_and_a_front_are_read_beside_it(tmp_path: Path) -> None:
    files = []
    for name, data in (("s.json", sweep()), ("R.json", result() | {"front": None}), ("f.json", front())):
        files.append(tmp_path / name)
        files[-1].write_text(json.dumps(data), "utf-8")
    found = Outline(render(read(files)).decode())
    assert "The sweep" in found.text
    assert "net_02.prototxt chosen 480 12.5 % 98.00 % holds" in found.text
    assert [label for label in found.values("aria-label") if label.startswith("Pareto front of 3 nets, from 240 bits")]
    curves = [label for label in found.values("aria-label") if "dynamic fixed point, 4 bits: 55.00 %" in label]
    assert len(curves) == 2


def test_the_same_result_gives_the_same_bytes() -> None:
    assert page(result()) == page(result())


def test_ids_are_unique_and_links_lead_somewhere() -> None:
    found = outline(result())
    ids = found.values("id")
    assert len(ids) == len(set(ids))
    inner = [link for link in found.values("href") if link.startswith("#")]
    assert {link[1:] for link in inner} <= set(ids)
    assert {"#layer-0", "#layer-1", "#layer-2"} <= set(inner)


def test_tables_can_be_read_aloud() -> None:
    found = outline(result())
    assert found.tags["table"] == found.tags["caption"] == 5
    assert all("scope" in attributes for tag, attributes in found.attributes if tag == "th")
    drawings = [attributes for tag, attributes in found.attributes if tag == "svg"]
    assert all("aria-label" in attributes or attributes.get("aria-hidden") == "true" for attributes in drawings)


def test_the_drawing_has_every_layer_and_the_formats() -> None:
    drawing = re.search(r'<svg[^>]*class="net".*?</svg>', page(result()), re.S)
    assert drawing
    texts = re.findall(r'<text [^>]*class="(?:middle )?(\w+)">([^<]*)<', drawing[0])
    names = [text for kind, text in texts if kind == "name"]
    assert names == ["digits", "first", "second", "third", "accuracy"]
    # What works in place stands in the box of its layer; a label that would cross the drawing is told in words.
    assert [text for kind, text in texts if kind == "type" and "ReLU" in text] == [
        f"{name}_relu · ReLU" for name in ("first", "second", "third")
    ]
    assert ("type", "reads label") in texts
    assert [text for kind, text in texts if kind == "format"] == ["4.2", "4.1", "4.2", "4.1", "4.2", "4.1"]
    assert drawing[0].count('class="arrow"') == 4


HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</style><b>", "{{ 7 * 7 }}", "\u202egnp\x00"]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_becomes_markup(name: str) -> None:
    data = result(name, "plain") | {"net": name, "notes": [name], "preset": name, "score_blob": name}
    data["front"]["net"] = name
    found = Outline(page(data))
    assert found.tags["script"] == found.tags["style"] == 1
    assert found.tags["img"] == found.tags["b"] == 0
    assert not [key for _, attributes in found.attributes for key in attributes if key.startswith("on")]
    assert "49" not in found.text.replace("4.9", "")
    assert not re.search("[\x00-\x08\u202a-\u202e\u2066-\u2069]", page(data))


def test_nothing_is_fetched_and_only_our_own_script_runs() -> None:
    text = page(result())
    assert not re.findall(r"(?:https?:)?//[\w.]+\.\w+", text)
    assert not re.findall(r"url\(|@import|<iframe|<object", text)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    for tag in ("style", "script"):
        within = re.search(f"<{tag}>(.*?)</{tag}>", text, re.S)
        assert within
        digest = b64encode(sha256(within[1].encode()).digest()).decode()
        assert f"{tag}-src &#39;sha256-{digest}&#39;" in policy[1]
    assert "default-src &#39;none&#39;" in policy[1]
    # The policy lets no style attribute pass.
    assert not Outline(text).values("style")


def luminance(colour: str) -> float:
    """Give the relative luminance of a colour, by WCAG 2.2."""
    digits = colour.lstrip("#")
    parts = [int(digit * 2, 16) for digit in digits] if len(digits) == 3 else list(bytes.fromhex(digits))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in parts)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    """Give the contrast ratio of two colours, by WCAG 2.2."""
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def schemes() -> dict[str, dict[str, str]]:
    style = (FOLDER / "page.css").read_text("utf-8")
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#\w+);", block)) for block in re.findall(r":root \{(.*?)\}", style, re.S)[:2]
    )
    return {"light": light, "dark": light | dark}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_can_be_told_apart(scheme: str) -> None:
    """Contrasts of WCAG AA: 4.5 for text, 3 for what must be seen of drawings."""
    colours = schemes()[scheme]
    grounds = ("paper", "raised", "wash")
    for text, ground in product(("ink", "quiet", "accent", "good", "bad"), grounds):
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for shade in range(1, 7):
        assert contrast(colours["on-heat"], colours[f"h{shade}"]) >= 4.5, shade
    for line in ("s0", "s1", "s2", "s3", "strong", "bad"):
        assert contrast(colours[line], colours["raised"]) >= 3, line
    assert contrast(colours["s0"], colours["raised"]) >= 4.5


def test_a_net_of_hundreds_of_layers_is_no_trouble() -> None:
    found = outline(result(*(f"layer_{index}" for index in range(150))))
    assert found.tags["article"] == 150
