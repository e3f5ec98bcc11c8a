"""The verb `upgrade`."""

from __future__ import annotations

from pathlib import Path

from ristretto.caffe.upgrade_file import UpgradedFile, upgrade_file

__all__ = ["UpgradedFile", "upgrade"]


def upgrade(source: str | Path) -> UpgradedFile:
    """Bring a file of any older format to today's; its kind is told from its content.

    Parameters
    ----------
    source : path
        A net's prototxt (V0, V1, or with ``input`` fields), a solver's, a caffemodel, or weights in HDF5.

    Returns
    -------
    UpgradedFile
        The new content, and what was changed; without changes it is the source's.

    Raises
    ------
    RistrettoError
        When the file cannot be read.
    """
    return upgrade_file(source)
