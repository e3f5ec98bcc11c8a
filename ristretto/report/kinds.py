"""How files of JSON say what they are."""

from __future__ import annotations

from typing import Any

from ristretto import __version__

SCHEMA = 1
"""Counts the changes after which a program that knows the files of before cannot read those of now."""

QUANTIZATION = "quantization"
SWEEP = "sweep"
FRONT = "front"
TRAINING = "training"
HARDWARE = "hardware"
EXPORT = "export"
DIFFERENCE = "difference"
BUILD = "build"
CHECK = "check"


def head(kind: str) -> dict[str, Any]:
    """Give what a file begins with: its kind, the version of its schema and that of the package."""
    return {"kind": kind, "schema": SCHEMA, "ristretto_version": __version__}
