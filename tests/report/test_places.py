"""What the JSON of a real search says of formats, numbers and memory, against plain loops."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ristretto import api
from ristretto.formats import PowerOfTwo
from ristretto.net import LayerQuant, Part, QuantSpec
from ristretto.report import places, plain


@pytest.fixture(scope="module")
def quantized(repo: Path) -> api.Quantized:
    folder = repo / "models" / "lenet"
    bits = {Part.CONV_PARAMS: 4, Part.FC_PARAMS: 3, Part.ACTIVATIONS: 6}
    model, weights = folder / "train_val.prototxt", folder / "lenet.caffemodel"
    return api.quantize(model, weights, bits=bits, iterations=1, calibration_batches=2, cached=False)


@pytest.fixture(scope="module")
def data(quantized: api.Quantized) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(plain.text(plain.quantized(quantized)))
    return found


def layers(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {layer["name"]: layer for layer in data["layers"]}


def test_the_file_says_what_it_is(data: dict[str, Any]) -> None:
    assert (data["kind"], data["schema"], data["net"]) == ("quantization", 1, "LeNet")


def test_work_and_memory_by_hand(data: dict[str, Any]) -> None:
    found = layers(data)
    assert {name: layer["macs"] for name, layer in found.items()} == {
        "conv1": 24 * 24 * 20 * 25,
        "conv2": 8 * 8 * 50 * 20 * 25,
        "ip1": 500 * 800,
        "ip2": 10 * 500,
    }
    assert data["macs"] == 2_293_000
    parameters = {"conv1": 520, "conv2": 25_050, "ip1": 400_500, "ip2": 5_010}
    bits = {name: count * (4 if name.startswith("conv") else 3) for name, count in parameters.items()}
    assert {name: layer["param_bits"] for name, layer in found.items()} == bits
    assert data["memory"]["params"] == {"float": 32 * 431_080, "condensed": sum(bits.values())}
    # Blobs that are read or made: data, conv1, pool1, conv2, pool2, ip1, ip2.
    numbers = 784 + 11_520 + 2_880 + 3_200 + 800 + 500 + 10
    assert data["memory"]["activations"] == {"float": 32 * numbers, "condensed": 6 * numbers}
    assert found["conv2"]["numbers"] == {"layer_in": 2_880, "layer_out": 3_200, "params": 25_050}


def test_weights_lose_what_a_plain_sum_says(data: dict[str, Any], quantized: api.Quantized) -> None:
    for name in ("conv1", "conv2"):
        place, fmt = layers(data)[name]["places"]["params"], layers(data)[name]["formats"]["params"]
        step = 2.0 ** -fmt["fl"]
        signal = noise = beyond = count = 0.0
        for blob in quantized.plain[name].blobs:
            for value in blob.ravel().astype(float):
                code = math.floor(abs(value) / step + 0.5) * math.copysign(1, value)
                nearest = min(max(code, -8), 7) * step
                signal, noise, count = signal + value**2, noise + (value - nearest) ** 2, count + 1
                beyond += not -8 <= code <= 7
        assert place["sqnr"] == pytest.approx(10 * math.log10(signal / noise))
        assert place["saturated"] == pytest.approx(beyond / count)
        assert sum(place["histogram"]["counts"]) == count


def test_weights_of_other_layers_count_in_float(quantized: api.Quantized) -> None:
    """As those of a BatchNorm that was not folded."""
    memory = places.memory(quantized)["params"]
    more = replace(quantized.rows[-1], name="norm", parameters=100)
    found = places.memory(replace(quantized, rows=(*quantized.rows, more)))["params"]
    assert {key: found[key] - memory[key] for key in found} == {"float": 3200, "condensed": 3200}


def test_biases_beside_powers_of_two_are_in_float(quantized: api.Quantized) -> None:
    quant = LayerQuant(None, None, PowerOfTwo(-8, -1))
    search = quantized.result
    condensed = replace(search.condensed, spec=QuantSpec("integer_power_of_2_weights", {"conv1": quant}))
    other = replace(quantized, result=replace(search, condensed=condensed))
    assert places.of_work(other, "conv1")["param_bits"] == 500 * 4 + 20 * 32
    # A layer that the search has left alone.
    assert places.of_work(other, "conv2")["param_bits"] == 25_050 * 32


def test_histograms_have_all_numbers_of_calibration(data: dict[str, Any]) -> None:
    for name, layer in layers(data).items():
        for key in ("layer_in", "layer_out"):
            bins = layer["places"][key]["histogram"]
            # Two batches of 100 pictures.
            assert sum(bins["counts"]) == 200 * layer["numbers"][key], name
            assert len(bins["counts"]) <= 64
            low, high = layer["ranges"][key]
            end = bins["start"] + bins["width"] * len(bins["counts"])
            # The first and the last bin hold the ends, give or take half a fine bin.
            slack = bins["width"] / 2
            assert bins["start"] - slack <= low <= bins["start"] + bins["width"] + slack
            assert end - bins["width"] - slack <= high <= end + slack


def test_activations_lose_about_what_samples_say(data: dict[str, Any], quantized: api.Quantized) -> None:
    for name, stats in quantized.stats.layers.items():
        place, fmt = layers(data)[name]["places"]["layer_in"], quantized.result.spec.layers[name].layer_in
        assert fmt
        x = stats.sample_in.astype(np.float64)
        ratio = 10 * np.log10((x**2).mean() / ((fmt.trim(x).astype(np.float64) - x) ** 2).mean())
        assert place["sqnr"] == pytest.approx(ratio, abs=1.0)


def test_the_wiring_is_that_of_the_net(data: dict[str, Any]) -> None:
    graph = {node["name"]: node for node in data["graph"]}
    assert list(graph) == ["digits", "conv1", "pool1", "conv2", "pool2", "ip1", "relu1", "ip2", "accuracy", "loss"]
    assert graph["relu1"]["bottoms"] == graph["relu1"]["tops"] == ["ip1"]
    assert graph["conv2"]["shapes"] == [[100, 50, 8, 8]]
    assert graph["accuracy"]["bottoms"] == ["ip2", "label"]


def test_numbers_of_a_list_stand_on_one_line() -> None:
    data = {"a": [1, 2.5, None], "b": ["x", 1], "c": [[1, -2e-07], []], "d": "[\n  1\n]"}
    text = plain.text(data)
    assert json.loads(text) == data
    assert '"c": [\n    [1, -2e-07],\n    []\n  ]' in text
