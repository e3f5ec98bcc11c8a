"""Archives of numpy: read by numpy, and the same bytes whenever they are made."""

from __future__ import annotations

import io
import time
import zipfile

import numpy as np

from ristretto.export.archive import npz


def test_numpy_reads_it_and_its_bytes_do_not_depend_on_time(monkeypatch) -> None:
    arrays = {"conv1.weights": np.arange(6, dtype="<i2").reshape(2, 3), "ip/x": np.array([-1], np.int8)}
    first = npz(arrays)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(2e9))
    assert npz(arrays) == first
    read = np.load(io.BytesIO(first), allow_pickle=False)
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {member.create_system for member in archive.infolist()} == {3}
