"""A result as one page for a browser, with all that it needs inside."""

from ristretto.report.page.reading import read, read_text
from ristretto.report.page.rendering import render

__all__ = ["read", "read_text", "render"]
