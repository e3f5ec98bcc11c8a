"""docs/add-a-layer.md and docs/add-a-format.md, tried by doing what they say."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.docs.following import change, copy_project, follow, run

COMPARE = """
python - <<'END'
import numpy as np
import ristretto
net = ristretto.load("build/square_8.prototxt", "models/lenet/lenet.caffemodel")
x = np.random.default_rng(1).random((5, 1, 28, 28), np.float32)
codes, real = (net.run(x, executor=name, keep=["relu1.top0", "ip1.top0"]) for name in ("integer", "simulate"))
for name in real:
    assert np.array_equal(codes[name], real[name]), name
before, after = real["ip1.top0"], real["relu1.top0"]
assert np.array_equal(after, before * before * np.float32(0.5)) and after.any()
print("the executors agree")
END
"""


@pytest.fixture(scope="module")
def project(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project that both pages change: kernels are compiled once in it."""
    return copy_project(repo, tmp_path_factory.mktemp("project"))


@pytest.mark.slow
def test_a_layer_type_is_added_as_its_page_says(repo: Path, project: Path) -> None:
    checks, net = follow(repo / "docs" / "add-a-layer.md", project)
    assert "passed" in checks
    assert "failed" not in checks
    assert "| Square | `factor * x**2` | `square_param` |" in (project / "docs" / "reference.md").read_text("utf-8")
    assert "Square" in net
    quantized = (project / "build" / "square_8.prototxt").read_text("utf-8")
    assert quantized.count('type: "Square" square_param { factor: 0.5 }') == 1
    assert "the executors agree" in run(COMPARE, project)
    session = onnxruntime.InferenceSession(project / "build" / "square.onnx")
    (made,) = session.run(None, {session.get_inputs()[0].name: np.zeros((1, 1, 28, 28), np.float32)})
    assert made.shape == (1, 10)


@pytest.mark.slow
def test_a_number_format_is_added_as_its_page_says(repo: Path, project: Path) -> None:
    checks, net = follow(repo / "docs" / "add-a-format.md", project)
    assert "passed" in checks
    assert "failed" not in checks
    assert "| ternary | " in (project / "docs" / "reference.md").read_text("utf-8")
    assert "±2^-5" in net
    integer, simulated = re.findall(r"(?m)^accuracy = (\S+)$", net)
    assert integer == simulated
    assert float(integer) > 0.9


def test_a_step_that_no_longer_fits_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    change(path, None, None, "one\ntwo\ntwo\n")
    change(path, "behind", "one", "and a half\n")
    change(path, "in place of", "and a half", "1.5\n")
    assert path.read_text() == "one\n1.5\ntwo\ntwo\n"
    for line in ("three", "two"):
        with pytest.raises(AssertionError, match=line):
            change(path, "behind", line, "x\n")
    with pytest.raises(AssertionError, match="there already"):
        change(path, None, None, "x\n")
