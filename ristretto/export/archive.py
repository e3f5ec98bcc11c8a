"""NumPy archives that are the same bytes for the same arrays."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

import numpy as np

from ristretto.net.op import Array

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip archive knows; it stands in place of the time."""
PLAIN_FILE = 0o644 << 16
UNIX = 3
"""What zip calls the system that a file's permissions are of: else it would be that of this machine."""


def npz(arrays: Mapping[str, Array]) -> bytes:
    """Give an archive for `numpy.load`, in the arrays' order; nothing in it depends on time or machine.

    Its members are stored as they are: a compressor's bytes differ from one version of zlib to the next.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", EPOCH)
            member.external_attr, member.create_system = PLAIN_FILE, UNIX
            content = io.BytesIO()
            np.lib.format.write_array(content, array, version=(1, 0), allow_pickle=False)
            archive.writestr(member, content.getvalue())
    return buffer.getvalue()
