"""Words and golden vectors of a real net with many layers, as a user exports them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ristretto.api.loading import open_data
from ristretto.caffe.reader import load_weights, read_model
from ristretto.cli.main import main
from ristretto.execute import IntegerExecutor
from ristretto.formats import FixedPoint
from ristretto.net import Phase
from tests.export import readers

LAYERS = 26
"""Convolutions of SqueezeNet."""


@dataclass
class Export:
    """The files of an export, and its manifest."""

    files: dict[str, bytes]

    @property
    def layers(self) -> list[dict[str, Any]]:
        return json.loads(self.files["manifest.json"])["layers"]

    @property
    def golden(self) -> dict[tuple[str, str], np.ndarray]:
        tables = json.loads(self.files["manifest.json"])["golden"]["tables"]
        return {(t["layer"], t["name"]): self.array(t) for t in tables}

    def array(self, table: dict[str, Any]) -> np.ndarray:
        words = np.array(readers.patterns(self.files, table, "npz"), np.uint64).astype(np.int64)
        above = 64 - table["bits"]
        return (words << above >> above).reshape(table["shape"])


@dataclass
class Made:
    """A quantized prototxt, its weights, and its exports by format."""

    model: str
    weights: str
    exports: dict[str, Export]


@pytest.fixture(scope="module")
def squeezenet(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder, out = shared / "data" / "models" / "squeezenet_v1.0", tmp_path_factory.mktemp("squeezenet")
    model, quantized, weights = out / "net.prototxt", out / "quantized.prototxt", folder / "squeezenet_v1.0.caffemodel"
    # Batches as large as the prototxt's would make the calibration long.
    text = (folder / "train_val.prototxt").read_text("utf-8").replace("../shared", str(shared))
    model.write_text(re.sub(r"batch_size: \d+", "batch_size: 4", text))
    named = ["--model", model, "--weights", weights, "--model_quantized", quantized, "--bits", "8/-/8"]
    chosen = ["--preset", "original", "--iterations", "1", "--error_margin", "100"]
    assert main(["quantize", *map(str, named), *chosen]) == 0
    exports = {}
    for kind, more in (("hex", []), ("integers", ["--golden", "1"])):
        words = ["--model", quantized, "--weights", weights, "--format", kind, *more, out / kind]
        assert main(["export", *map(str, words)]) == 0
        found = {str(p.relative_to(out / kind)): p.read_bytes() for p in (out / kind).rglob("*") if p.is_file()}
        exports[kind] = Export(found)
    return Made(str(quantized), str(weights), exports)


@pytest.mark.shared
@pytest.mark.slow
def test_weights_are_the_same_in_all_files(shared: Path, squeezenet: Made) -> None:
    net = load_weights(read_model(squeezenet.model).net, squeezenet.weights).for_phase(Phase.TEST)
    in_hex, in_numpy = squeezenet.exports["hex"], squeezenet.exports["integers"]
    assert len(in_hex.layers) == LAYERS
    for layer, same in zip(in_hex.layers, in_numpy.layers, strict=True):
        fmt = FixedPoint(layer["formats"]["params"]["bw"], layer["formats"]["params"]["fl"])
        for table, other, blob in zip(layer["tables"], same["tables"], net[layer["name"]].blobs, strict=True):
            wanted = [int(code) % 256 for code in fmt.encode(blob).reshape(-1)]
            assert readers.patterns(in_numpy.files, other, "npz") == wanted
            assert readers.patterns(in_hex.files, table, "readmemh") == wanted
            assert readers.patterns(in_hex.files, table, "intel_hex") == wanted


@pytest.mark.shared
@pytest.mark.slow
def test_golden_outputs_are_the_executors(shared: Path, squeezenet: Made) -> None:
    """Of a whole batch, too, whose first picture it is."""
    read = read_model(squeezenet.model)
    net = load_weights(read.net, squeezenet.weights).for_phase(Phase.TEST)
    made = squeezenet.exports["integers"]
    source = open_data(read, net.data_layers, Phase.TEST)
    executor = IntegerExecutor(net, source.shapes, keep={f"{layer['name']}.top0" for layer in made.layers})
    kept = executor.run(next(iter(source.batches(1)))).kept
    golden = made.golden
    for layer in made.layers:
        real = kept[f"{layer['name']}.top0"][:1]
        np.testing.assert_array_equal(
            golden[layer["name"], "outputs"], np.ldexp(real, layer["formats"]["layer_out"]["fl"])
        )


@pytest.mark.shared
@pytest.mark.slow
def test_golden_accumulators_are_sums_of_windows(shared: Path, squeezenet: Made) -> None:
    made = squeezenet.exports["integers"]
    golden, lifts = made.golden, set()
    for layer in made.layers:
        x, sums, codes = (golden[layer["name"], name] for name in ("inputs", "accumulators", "outputs"))
        path = layer["datapath"]
        assert path["accumulator"]["low"] <= sums.min() < sums.max() <= path["accumulator"]["high"]
        rounded = np.sign(sums) * np.floor(np.abs(sums) * 2.0 ** -path["output"]["right_shift"] + 0.5)
        np.testing.assert_array_equal(codes, rounded.clip(-128, 127))
        weights, bias = map(made.array, layer["tables"])
        (kh, kw), (sh, sw), (ph, pw) = (layer["walk"][key] for key in ("kernel", "stride", "pad"))
        padded = np.pad(x[0], ((0, 0), (ph, ph), (pw, pw)))
        for row, column in ((0, 0), (sums.shape[2] - 1, sums.shape[3] - 1), (1, 2)):
            window = padded[:, row * sh : row * sh + kh, column * sw : column * sw + kw]
            products = (weights * window).sum(axis=(1, 2, 3)) << path["product"]["left_shift"]
            np.testing.assert_array_equal(sums[0, :, row, column], products + (bias << path["bias"]["left_shift"]))
        lifts.add(path["product"]["left_shift"])
    assert len(lifts) > 1
