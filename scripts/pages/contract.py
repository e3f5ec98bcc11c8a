"""docs/assets/imports.svg: who may import whom, drawn from the contract in setup.cfg."""

import ast
import re
from configparser import ConfigParser
from html import escape
from pathlib import Path

PATH = "docs/assets/imports.svg"
SOURCE = "the import contracts in setup.cfg"
ROOT = Path(__file__).resolve().parent.parent.parent

WIDTH, LEFT, LINE, PAD, GAP = 800, 50, 22, 7, 12
"""Pixels."""
STYLE = """
    text { font: 13px system-ui, sans-serif; fill: #222 }
    .name { font-weight: 600 }
    .says { font-size: 11.5px; fill: #555 }
    .room { fill: #f6f1ea; stroke: #a58a6b }
    .way { stroke: #a58a6b; stroke-width: 2; fill: none }
    .head { fill: #a58a6b }
    @media (prefers-color-scheme: dark) {
      text { fill: #eee }
      .says { fill: #bbb }
      .room { fill: #2b2622; stroke: #8d7457 }
    }"""


def page() -> str:
    """Give the drawing."""
    contracts = ConfigParser(interpolation=None)
    contracts.read(ROOT / "setup.cfg", encoding="utf-8")
    alone = _libraries(contracts)
    parts, top = [], PAD
    for line in contracts["importlinter:contract:layers"]["layers"].split("\n"):
        names = [name.strip(" ()") for name in line.split("|") if name.strip()]
        rooms = [name for name in names if _source(name)]
        if not rooms:
            continue
        height = LINE * len(rooms) + PAD
        parts.append(f'<rect class="room" x="{LEFT}" y="{top}" width="{WIDTH - LEFT - PAD}" height="{height}" rx="5"/>')
        for index, name in enumerate(rooms):
            y = top + LINE * index + 19
            says = _says(name) + (f"; it alone imports {' and '.join(alone[name])}" if name in alone else "")
            parts.append(f'<text class="name" x="{LEFT + 12}" y="{y}">{name}</text>')
            parts.append(f'<text class="says" x="{LEFT + 100}" y="{y}">{escape(says)}</text>')
        top += height + GAP
    bottom = top - GAP
    title = "A row may import the rows below it, never one above it; names that share a row know nothing of each other."
    way = (
        f'<path class="way" d="M24 {PAD} V{bottom - 12}"/><path class="head" d="M17 {bottom - 14} H31 L24 {bottom} Z"/>'
    )
    label = (
        f'<text class="says" transform="translate(16 {bottom // 2}) rotate(-90)" text-anchor="middle">may import</text>'
    )
    body = "\n  ".join([way, label, *parts])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + PAD}" role="img">\n'
        f"  <title>{title}</title>\n  <style>{STYLE}\n  </style>\n  {body}\n</svg>\n"
    )


def _libraries(contracts: ConfigParser) -> dict[str, list[str]]:
    """Give the libraries that one room alone imports, by room."""
    found: dict[str, list[str]] = {}
    for section in contracts.sections():
        if named := re.fullmatch(r"Only ristretto\.(\w+) imports (\w+)", contracts[section].get("name", "")):
            found.setdefault(named[1], []).append(named[2])
    return found


def _source(name: str) -> Path | None:
    package, module = ROOT / "ristretto" / name / "__init__.py", ROOT / "ristretto" / f"{name}.py"
    return package if package.exists() else module if module.exists() else None


def _says(name: str) -> str:
    """Give what a room says of itself: its docstring's first sentence, without its own name before it."""
    source = _source(name)
    assert source is not None
    text = " ".join((ast.get_docstring(ast.parse(source.read_text("utf-8"))) or "").split("\n\n")[0].split())
    sentence = re.split(r"(?<=[^.])\.(?:\s|$)", text.replace("`", ""))[0]
    said = re.sub(r"^(\w[\w ]*): (?=\w)", lambda m: "" if m[1].lower().startswith(name[:5]) else m[0], sentence)
    # What begins with a word of the shell's stays as it is.
    return said if text.startswith("`") else said[:1].upper() + said[1:]
