"""docs/decisions.md: the index of docs/decisions/."""

from pathlib import Path

PATH = "docs/decisions.md"
SOURCE = "the headings in docs/decisions/"
HEAD = """# Decisions

What a reader of the code may wonder about, and why it is so. Each page has its context, the decision and what follows
from it. `scripts/gen-docs` writes this list.

"""
ROOT = Path(__file__).resolve().parent.parent.parent


def page() -> str:
    """Give the whole page."""
    lines = []
    for path in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        number, _, title = path.read_text("utf-8").splitlines()[0].removeprefix("# ").partition(". ")
        lines.append(f"{number}. [{title}](decisions/{path.name})")
    return HEAD + "\n".join(lines) + "\n"
