"""Generated pages: each is one module with PATH, SOURCE and `page`, and one entry here."""

from pages import cli, contract, decisions, reference

PAGES = (cli, reference, decisions, contract)
"""Modules: PATH from the project's root, SOURCE (what the page says the same as), `page()` gives its text."""
