"""``ristretto hardware``, ``quantize --hardware`` and ``--strict_hardware``, as a user runs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ristretto import api
from ristretto.api import Silent, load
from ristretto.caffe.reader import read_model
from ristretto.caffe.schema import message_class
from ristretto.cli.main import main
from ristretto.errors import HardwareError
from ristretto.formats import FixedPoint
from ristretto.net import Phase

MODEL = "models/lenet/train_val.prototxt"
WEIGHTS = "models/lenet/lenet.caffemodel"
NET = ["--model", MODEL, "--weights", WEIGHTS]
SHORT = ["--iterations", "2", "--calibration_batches", "1"]


def quantize(folder: Path, *options: str, net: list[str] | None = None, bits: str = "8/8/8") -> tuple[int, Path]:
    path = folder / "q.prototxt"
    code = main(["quantize", *(net or NET), "--model_quantized", str(path), *SHORT, "--bits", bits, *options])
    return code, path


def reported(
    folder: Path, model: Path | str, *options: str, weights: Path | str = WEIGHTS
) -> tuple[int, dict[str, Any]]:
    path = folder / "hardware.json"
    path.unlink(missing_ok=True)
    words = ["--model", str(model), "--weights", str(weights), "--iterations", "2", "--json", str(path)]
    code = main(["hardware", *words, *options])
    return code, json.loads(path.read_text()) if path.exists() else {}


@pytest.fixture(scope="module")
def lenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quantized LeNet whose formats were chosen for hardware."""
    code, path = quantize(tmp_path_factory.mktemp("lenet"), "--hardware", "--strict_hardware")
    assert code == 0
    return path


def test_lenet_for_hardware_needs_no_shift_but_those_of_accumulators(lenet: Path, tmp_path: Path) -> None:
    code, found = reported(tmp_path, lenet, "--strict_hardware")
    assert code == 0
    assert found["realisable"]
    assert (found["obstacles"], found["extra_shifts"]) == ([], [])
    layers = {layer["name"]: layer for layer in found["layers"]}
    assert list(layers) == ["conv1", "conv2", "ip1", "ip2"]
    for before, after in zip(["conv1", "conv2", "ip1"], ["conv2", "ip1", "ip2"], strict=True):
        assert layers[before]["formats"]["layer_out"] == layers[after]["formats"]["layer_in"]
        assert layers[after]["in_shift"] == 0
    for layer in layers.values():
        fl = {place: fmt["fl"] for place, fmt in layer["formats"].items()}
        assert fl["layer_in"] >= 0
        assert layer["path"]["accumulator_fl"] == fl["layer_in"] + fl["params"] >= fl["layer_out"]
        assert layer["path"]["out_right_shift"] == fl["layer_in"] + fl["params"] - fl["layer_out"]


def test_the_figures_are_those_of_the_net(lenet: Path, tmp_path: Path) -> None:
    _, found = reported(tmp_path, lenet)
    _, whole = load(lenet, WEIGHTS)
    sums = {"conv1": 24 * 24 * 20 * 25, "conv2": 8 * 8 * 50 * 500, "ip1": 500 * 800, "ip2": 10 * 500}
    numbers = {"conv1": (784, 11520), "conv2": (2880, 3200), "ip1": (800, 500), "ip2": (500, 10)}
    for layer in found["layers"]:
        net_layer = whole.for_phase(Phase.TEST)[layer["name"]]
        assert net_layer.quant is not None
        params = net_layer.quant.params
        assert isinstance(params, FixedPoint)
        weights, bias = (params.encode(blob).astype(object) for blob in net_layer.blobs)
        assert layer["macs"] == sums[layer["name"]]
        assert layer["memory"]["weights"]["bits"] == 8 * (weights.size + bias.size)
        assert (layer["memory"]["layer_in"]["bytes"], layer["memory"]["layer_out"]["bytes"]) == numbers[layer["name"]]
        assert layer["saturated"]["weights"]["never_used"] == 256 - len(set(weights.reshape(-1)))
        # The worst case of words that reach -128: no picture is below zero, but the format is.
        rows = weights.reshape(len(weights), -1)
        # What a ReLU leaves, and pictures with their first word, decide on the least input.
        low = 0 if layer["name"] == "ip2" else -128
        fl = layer["formats"]["layer_in"]["fl"]
        highs = [sum(max(w * low, w * 127) for w in row) + (int(b) << fl) for row, b in zip(rows, bias, strict=True)]
        lows = [sum(min(w * low, w * 127) for w in row) + (int(b) << fl) for row, b in zip(rows, bias, strict=True)]
        assert (layer["path"]["worst"]["low"], layer["path"]["worst"]["high"]) == (min(lows), max(highs))
        assert layer["path"]["worst"]["low"] <= layer["path"]["observed"]["low"]
        assert layer["path"]["observed"]["high"] <= layer["path"]["worst"]["high"]
    assert found["observed"] == {"batches": 2, "pictures": 200, "source": found["observed"]["source"]}
    assert found["totals"]["macs"] == sum(sums.values())


def test_threads_and_repetition_change_no_byte(lenet: Path, tmp_path: Path) -> None:
    texts = []
    for threads in ("1", "2"):
        reported(tmp_path, lenet, "--threads", threads)
        texts.append((tmp_path / "hardware.json").read_bytes())
    assert texts[0] == texts[1]


def test_the_table_tells_the_same(lenet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, found = reported(tmp_path, lenet)
    text = capsys.readouterr().out
    assert "Integers and shifts do for the whole data path." in text
    for layer in found["layers"]:
        (row,) = (line for line in text.splitlines() if line.split()[:2] == [layer["name"], f"{layer['macs']:,}"])
        assert str(layer["path"]["worst"]["bits"]) in row.split()
        assert str(layer["path"]["observed"]["bits"]) in row.split()


def test_a_float_net_has_a_report_too(tmp_path: Path) -> None:
    code, found = reported(tmp_path, MODEL)
    assert code == 0
    assert not found["realisable"]
    assert {obstacle["kind"] for obstacle in found["obstacles"]} == {"unquantized"}
    assert all(layer["path"] is None for layer in found["layers"])


def test_powers_of_two_are_shifts_beside_real_biases(tmp_path: Path) -> None:
    path = tmp_path / "q.prototxt"
    words = ["--trimming_mode", "integer_power_of_2_weights", "--model_quantized", str(path), *SHORT]
    assert main(["quantize", *NET, *words, "--error_margin", "100"]) == 0
    _, found = reported(tmp_path, path)
    assert {obstacle["kind"] for obstacle in found["obstacles"]} == {"real bias"}
    for layer in found["layers"]:
        assert layer["path"]["products_are_shifts"]
        assert layer["path"]["bias"] == "real"
        assert layer["path"]["product_bits"] == 8 + 7 + 1
        assert layer["path"]["observed"]["bits"] <= layer["path"]["worst"]["bits"]


def spoilt(folder: Path) -> list[str]:
    """Give LeNet with a mean over nine numbers in place of its first maximum; shapes stay."""
    text = Path(MODEL).read_text()
    pool = "pool: MAX\n    kernel_size: 2"
    assert pool in text
    path = folder / "mean.prototxt"
    path.write_text(text.replace(pool, "pool: AVE\n    kernel_size: 3", 1))
    return ["--model", str(path), "--weights", WEIGHTS]


def test_strict_hardware_is_an_error_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = spoilt(tmp_path)
    code, path = quantize(tmp_path, net=net)
    assert code in (0, 3)
    capsys.readouterr()
    out = tmp_path / "out"
    out.mkdir()
    commands = [
        ["quantize", *net, "--model_quantized", str(out / "q.prototxt"), "--json", str(out / "q.json")],
        ["hardware", "--model", str(path), *net[2:], "--json", str(out / "h.json")],
        ["export", "--model", str(path), *net[2:], "--format", "integers", str(out / "words")],
        ["export", "--model", str(path), *net[2:], "--format", "onnx-float", str(out / "net.onnx")],
    ]
    for command in commands:
        assert main([*command, "--strict_hardware"]) == 1
        lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note: ")]
        assert lines[0].startswith("error: layer 'pool1' needs more than shifts: a mean over ")
        assert " 9" in lines[0]
        assert lines[1].startswith("hint: use windows of 2, 4, 8, ... pixels")
        assert len(lines) == 2
        assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--hardware", "--trimming_mode", "minifloat"], "minifloat has no radix point of its own"),
        (["--hardware", "--trimming_mode", "integer_power_of_2_weights"], "has no radix point of its own"),
        (["--hardware", "--trimming_mode", "fixed_point"], "fixed_point has no radix point of its own"),
        (["--hardware", "--preset", "original"], "the original preset chooses formats in its own way"),
        (["--strict_hardware", "--trimming_mode", "minifloat"], "minifloat needs more than integers and shifts"),
    ],
)
def test_wishes_that_make_no_sense_are_refused_at_once(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "q.prototxt"
    assert main(["quantize", *NET, "--model_quantized", str(path), *options]) == 1
    assert message in capsys.readouterr().err
    assert not path.exists()


def test_strict_finds_biases_without_a_format_once_formats_are_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "q.prototxt"
    words = ["--trimming_mode", "integer_power_of_2_weights", "--error_margin", "100", *SHORT, "--strict_hardware"]
    assert main(["quantize", *NET, "--model_quantized", str(path), *words]) == 1
    assert "error: layer 'conv1' needs more than shifts: its biases have no format" in capsys.readouterr().err
    assert not path.exists()


class Stages(Silent):
    """Notes what is begun."""

    def __init__(self) -> None:
        self.titles: list[str] = []

    def stage(self, title: str, batches: int) -> AbstractContextManager[Callable[[], None]]:
        self.titles.append(title)
        return super().stage(title, batches)


def test_layers_that_cannot_do_with_shifts_are_found_before_anything_is_measured(tmp_path: Path) -> None:
    model, weights = spoilt(tmp_path)[1::2]
    stages = Stages()
    with pytest.raises(HardwareError, match="layer 'pool1'"):
        api.quantize(model, weights, strict_hardware=True, iterations=2, watcher=stages)
    assert stages.titles == []


@pytest.mark.slow
def test_the_journal_keeps_both_kinds_of_formats_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISTRETTO_CACHE_DIR", str(tmp_path / "journal"))

    def found(*, hardware: bool, cached: bool = True) -> tuple[str, list[str]]:
        stages = Stages()
        wish: dict[str, Any] = {"granularity": "layer", "min_bits": 6, "max_bits": 8, "error_margin": 5.0}
        few = {"iterations": 2, "calibration_batches": 1}
        text = api.quantize(MODEL, WEIGHTS, **wish, **few, hardware=hardware, cached=cached, watcher=stages).text
        return text, stages.titles

    plain, shared = found(hardware=False), found(hardware=True)
    # The ranges are the same; what widths do to the outputs is not.
    assert "measuring sensitivities" in shared[1]
    assert "measuring ranges" not in shared[1]
    again = found(hardware=False), found(hardware=True)
    assert [text for text, _ in again] == [plain[0], shared[0]]
    assert not any("measuring sensitivities" in titles for _, titles in again)
    assert found(hardware=True, cached=False)[0] == shared[0]


def test_refined_weights_and_centred_scores_fit_too(tmp_path: Path) -> None:
    path, refined = tmp_path / "q.prototxt", tmp_path / "q.caffemodel"
    words = ["--model_quantized", str(path), "--weights_quantized", str(refined), *SHORT, "--hardware"]
    assert main(["quantize", *NET, *words, "--strict_hardware", "--bits", "3/3/4", "--equalize", "off"]) in (0, 3)
    _, found = reported(tmp_path, path, weights=refined)
    assert found["realisable"]
    assert found["extra_shifts"] == []


def with_nan(data: bytes) -> bytes:
    message = message_class("NetParameter").FromString(data)
    next(layer for layer in message.layer if layer.name == "conv2").blobs[0].data[7] = np.nan
    return bytes(message.SerializeToString())


@pytest.mark.parametrize(
    ("spoil", "told"), [(lambda data: data[: len(data) // 2], "w.caffemodel"), (with_nan, "layer 'conv2'")]
)
def test_hostile_weights_are_one_line(
    spoil: Callable[[bytes], bytes], told: str, lenet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "w.caffemodel"
    weights.write_bytes(spoil(Path(WEIGHTS).read_bytes()))
    assert reported(tmp_path, lenet, weights=weights) == (1, {})
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))
    assert told in line


def test_an_input_is_not_overwritten(lenet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = lenet.read_bytes()
    assert main(["hardware", "--model", str(lenet), "--weights", WEIGHTS, "--json", str(lenet)]) == 1
    assert lenet.read_bytes() == before
    assert "error: " in capsys.readouterr().err


SQUEEZENET = "data/models/squeezenet_v1.0"
RESNET = "data/models/resnet20_cifar10"


@pytest.mark.shared
@pytest.mark.slow
def test_squeezenets_branches_meet_on_one_grid(shared: Path, tmp_path: Path) -> None:
    folder = shared / SQUEEZENET
    net = ["--model", str(folder / "train_val.prototxt"), "--weights", str(folder / "squeezenet_v1.0.caffemodel")]
    path = tmp_path / "q.prototxt"
    words = ["--iterations", "2", "--calibration_batches", "1", "--bits", "8/8/8", "--hardware", "--error_margin", "15"]
    # Its activations reach thousands: no bias may keep 8 bits from holding them.
    assert main(["quantize", *net, "--model_quantized", str(path), *words]) == 0
    code, found = reported(tmp_path, path, "--iterations", "1", weights=net[3])
    assert code == 0
    # Its last layer is a mean over 15 x 15 numbers: no format changes that.
    assert [(obstacle["layer"], obstacle["kind"]) for obstacle in found["obstacles"]] == [("pool10", "mean")]
    assert all("to meet its bias" in line for line in found["extra_shifts"])
    joints = [row for row in found["between"] if row["type"] == "Concat"]
    assert len(joints) == 8
    assert all(set(row["left_shifts"]) == {0} for row in joints)


@pytest.mark.shared
@pytest.mark.slow
def test_resnets_shortcuts_meet_on_one_grid(shared: Path, tmp_path: Path) -> None:
    folder = shared / RESNET
    net = ["--model", str(folder / "train_val.prototxt"), "--weights", str(folder / "resnet20.caffemodel")]
    path, folded = tmp_path / "q.prototxt", tmp_path / "folded.caffemodel"
    words = ["--iterations", "2", "--calibration_batches", "2", "--bits", "8/8/8", "--hardware", "--strict_hardware"]
    assert main(["quantize", *net, "--model_quantized", str(path), "--fold", str(folded), *words]) in (0, 3)
    code, found = reported(tmp_path, path, "--iterations", "1", "--strict_hardware", weights=folded)
    assert code == 0
    sums = [row for row in found["between"] if row["type"] == "Eltwise"]
    assert len(sums) == 9
    assert all(row["left_shifts"] == [0, 0] for row in sums)
    # What is left is the division of the mean over 8 x 8 numbers, six bits.
    (line,) = [line for line in found["extra_shifts"] if "to meet its bias" not in line]
    assert "right by 6 bits" in line
    assert read_model(path).net["InnerProduct1"].quant is not None
