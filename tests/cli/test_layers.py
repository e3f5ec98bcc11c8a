"""``ristretto quantize --granularity layer`` as a user runs it, and the bounds that both granularities take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from ristretto.cli.layer_arguments import kept_layer
from ristretto.search.sites import Kept

LAYERS = ["conv1", "conv2", "ip1", "ip2"]
SEARCH = ["--granularity", "layer", "--iterations", "6", "--error_margin", "1"]


def run(*words: object, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ristretto", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env}, timeout=300)


@pytest.fixture(scope="module")
def lenet(repo: Path) -> list[str]:
    folder = repo / "models" / "lenet"
    return ["--model", str(folder / "train_val.prototxt"), "--weights", str(folder / "lenet.caffemodel")]


@pytest.fixture(scope="module")
def searched(lenet: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A search of the embedded LeNet with all that it can write."""
    folder = tmp_path_factory.mktemp("searched")
    out, data, front = folder / "q.prototxt", folder / "q.json", folder / "front"
    done = run(
        "quantize", *lenet, *SEARCH, "--model_quantized", out, "--json", data, "--pareto", front, "--keep", "ip2=8"
    )
    assert done.returncode in (0, 3), done.stderr
    return {"run": done, "out": out, "json": json.loads(data.read_text("utf-8")), "front": front, "folder": folder}


def widths(data: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Give the widths of every layer's formats."""
    return {layer["name"]: {place: fmt["bw"] for place, fmt in layer["formats"].items()} for layer in data["layers"]}


def test_the_summary_says_what_it_costs_and_what_was_run(searched: dict[str, Any]) -> None:
    shown, data = searched["run"].stdout, searched["json"]
    cost, effort = data["cost"], data["evaluations"]
    assert (
        f"weights: {cost['value']:,.0f} bits, {100 * cost['value'] / cost['float']:.1f} % of the float net's" in shown
    )
    assert f"{cost['one_width_for_each_part']:,.0f} bits" in shown
    assert f"{100 * effort['share']:.1f} % of a naive search (96 evaluations" in shown
    assert "every layer" in shown
    assert "weight_bits" in shown
    assert "\x1b" not in shown
    assert f"nets of the front to {searched['front']}" in searched["run"].stderr


def test_the_json_has_widths_cost_and_work(searched: dict[str, Any]) -> None:
    data = searched["json"]
    assert data["granularity"] == "layer"
    assert data["bits"] == {"conv_params": None, "fc_params": None, "activations": None}
    cost, effort = data["cost"], data["evaluations"]
    assert (cost["name"], cost["unit"], cost["float"]) == ("weight_bits", "bits", 431_080 * 32)
    parameters = dict(zip(LAYERS, (520, 25_050, 400_500, 5_010), strict=True))
    found = widths(data)
    assert list(found) == LAYERS
    assert cost["value"] == sum(count * found[name]["params"] for name, count in parameters.items())
    assert cost["value"] <= cost["one_width_for_each_part"]
    # 16 widths for the weights of three layers, and for their inputs: ip2 is kept, and with it what ip1 makes.
    assert effort["naive"] == 6 * 16 * effort["full"]
    # 3 batches of 100 pictures decide.
    assert effort["full"] == 2_293_000 * 300
    assert effort["share"] == pytest.approx((effort["trials"] + effort["sensitivities"]) / effort["naive"], rel=1e-6)
    assert effort["share"] <= 0.2
    for trial in data["trials"]:
        assert trial["part"] == "layers"
        assert list(trial["layers"]) == LAYERS
        mine = sum(count * trial["layers"][name]["params"] for name, count in parameters.items())
        assert trial["cost"] == mine
    held = [trial["cost"] for trial in data["trials"] if trial["within_margin"]]
    assert cost["value"] == min(held)


def test_activations_that_meet_have_one_width(searched: dict[str, Any]) -> None:
    found = widths(searched["json"])
    for before, after in pairwise(LAYERS):
        assert found[before]["layer_out"] == found[after]["layer_in"]


def test_a_layer_keeps_what_it_is_given(searched: dict[str, Any]) -> None:
    assert set(widths(searched["json"])["ip2"].values()) == {8}
    assert all(set(trial["layers"]["ip2"].values()) == {8} for trial in searched["json"]["trials"])


def test_sensitivities_are_told_by_site(searched: dict[str, Any]) -> None:
    sites = searched["json"]["sites"]
    assert [site["name"] for site in sites] == [*LAYERS, "data", "conv1", "conv2", "ip1", "ip2"]
    assert [site["part"] for site in sites].count("activations") == 5
    for site in sites:
        assert list(site["distortions"]) == (["8"] if len(site["distortions"]) == 1 else [str(w) for w in range(1, 17)])
        assert all(value >= 0 for value in site["distortions"].values())
    assert [site["name"] for site in sites if len(site["distortions"]) == 1] == ["ip2", "ip1", "ip2"]


def test_the_front_has_a_prototxt_for_each_net(searched: dict[str, Any], lenet: list[str]) -> None:
    folder, data = searched["front"], searched["json"]
    listed = json.loads((folder / "front.json").read_text("utf-8"))
    nets = listed["nets"]
    assert listed["cost"] == {name: data["cost"][name] for name in ("name", "unit", "float")}
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["front.json", "front.png", "front.svg", *(net["prototxt"] for net in nets)]
    )
    assert [net["prototxt"] for net in nets] == [f"net_{number:02d}.prototxt" for number in range(1, len(nets) + 1)]
    for cheap, dear in pairwise(nets):
        assert cheap["cost"] <= dear["cost"]
        assert cheap["score"] < dear["score"]
    (chosen,) = (net for net in nets if net["chosen"])
    assert chosen["cost"] == data["cost"]["value"]
    assert (folder / chosen["prototxt"]).read_bytes() == searched["out"].read_bytes()
    assert len({(folder / net["prototxt"]).read_bytes() for net in nets}) == len(nets)
    # Each scores what the list says, on the batches that decided.
    cheapest = nets[0]
    done = run("test", "--model", folder / cheapest["prototxt"], *lenet[2:], "--iterations", "3", "--json", "-")
    assert json.loads(done.stdout)["accuracy"] == pytest.approx(cheapest["score"])


def test_the_front_s_plots_can_be_opened(searched: dict[str, Any]) -> None:
    with Image.open(searched["front"] / "front.png") as image:
        image.load()
    assert ElementTree.parse(searched["front"] / "front.svg").getroot().tag.endswith("}svg")


def test_threads_and_the_journal_change_no_byte(searched: dict[str, Any], lenet: list[str], tmp_path: Path) -> None:
    for words in (["--threads", "1", "--no_cache"], ["--threads", "5"]):
        again = tmp_path / words[1]
        done = run(
            "quantize", *lenet, *SEARCH, *words, "--model_quantized", again / "q.prototxt", "--json", again / "q.json",
            "--pareto", again / "front", "--keep", "ip2=8",
        )  # fmt: skip
        assert done.returncode == searched["run"].returncode, done.stderr
        for path in [*searched["front"].iterdir(), searched["out"], searched["folder"] / "q.json"]:
            assert (again / path.relative_to(searched["folder"])).read_bytes() == path.read_bytes()


def test_other_costs_give_other_nets(searched: dict[str, Any], lenet: list[str], tmp_path: Path) -> None:
    out = tmp_path / "q.json"
    words = ["--minimize", "bit_operations", "--min_bits", "3", "--max_bits", "9", "--json", out]
    done = run("quantize", *lenet, *SEARCH, *words, "--model_quantized", tmp_path / "q.prototxt")
    assert done.returncode in (0, 3), done.stderr
    data = json.loads(out.read_text("utf-8"))
    assert data["cost"]["name"] == "bit_operations"
    assert data["cost"]["float"] == 2_293_000 * 32 * 32
    found = widths(data)
    assert all(3 <= width <= 9 for own in found.values() for width in own.values())
    macs = dict(zip(LAYERS, (288_000, 1_600_000, 400_000, 5_000), strict=True))
    assert data["cost"]["value"] == sum(macs[name] * own["params"] * own["layer_in"] for name, own in found.items())


def test_parts_keep_within_bounds_too(lenet: list[str], tmp_path: Path) -> None:
    out = tmp_path / "q.json"
    words = ["--min_bits", "3", "--max_bits", "8", "--iterations", "2", "--json", out]
    done = run("quantize", *lenet, *words, "--model_quantized", tmp_path / "q.prototxt")
    assert done.returncode in (0, 3), done.stderr
    data = json.loads(out.read_text("utf-8"))
    assert {width for trial in data["trials"] for width in trial["bits"].values() if width} == {4, 8}
    assert "granularity" not in data


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--trimming_mode", "minifloat", "--granularity", "layer"], "minifloat has no formats of other widths"),
        (["--preset", "original", "--granularity", "layer"], "the original preset decides widths of parts only"),
        (["--granularity", "layer", "--keep", "conv9=8"], "no layer 'conv9' that can be quantized"),
        (["--granularity", "layer", "--keep", "conv1=8", "--keep", "conv2=4"], "their activations meet"),
        (["--granularity", "layer", "--keep", "conv1=8", "--keep", "conv1=4"], "names layer 'conv1' twice"),
        (["--granularity", "layer", "--bits", "8/8/8"], "widths of parts are given"),
        (["--granularity", "layer", "--min_bits", "9", "--max_bits", "8"], "widths from 9 to 8 bits"),
        (["--minimize", "energy"], "--minimize is about widths of layers"),
        (["--keep", "conv1=8"], "--keep is about widths of layers"),
        (["--pareto", "front"], "--pareto is about widths of layers"),
        (["--min_bits", "5", "--max_bits", "7"], "nothing to try for conv_params between 5 and 7 bits"),
        (["--trimming_mode", "integer_power_of_2_weights", "--max_bits", "7"], "its widths: 4/8"),
        (["--bits", "8/8/8", "--max_bits", "7"], "widths are given, and bounds"),
    ],
)
def test_what_makes_no_sense_is_one_clear_line(lenet: list[str], tmp_path: Path, words: list[str], said: str) -> None:
    words = [str(tmp_path / word) if word == "front" else word for word in words]
    done = run("quantize", *lenet, *words, "--iterations", "1", "--model_quantized", tmp_path / "q.prototxt")
    assert done.returncode == 1
    assert said in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ["--min_bits", "0"],
        ["--max_bits", "17"],
        ["--keep", "8"],
        ["--keep", "conv1=0"],
        ["--keep", "conv1=4/8/8"],
        ["--keep", "conv1=wide"],
        ["--granularity", "net"],
        ["--minimize", "money"],
    ],
)
def test_wrong_words_are_wrong_usage(lenet: list[str], tmp_path: Path, words: list[str]) -> None:
    done = run("quantize", *lenet, *words, "--model_quantized", tmp_path / "q.prototxt")
    assert done.returncode == 2
    assert words[0] in done.stderr


def test_a_layer_s_name_may_hold_slashes_and_equals_signs() -> None:
    assert kept_layer("fire2/squeeze1x1=8") == ("fire2/squeeze1x1", Kept(8, 8))
    assert kept_layer("a=b=4/16") == ("a=b", Kept(4, 16))


def test_a_front_without_matplotlib_is_refused_before_the_work(lenet: list[str], tmp_path: Path) -> None:
    (tmp_path / "broken" / "matplotlib").mkdir(parents=True)
    (tmp_path / "broken" / "matplotlib" / "__init__.py").write_text("raise ImportError('not here')")
    out = tmp_path / "out"
    done = run(
        "quantize", *lenet, *SEARCH, "--pareto", out / "front", "--model_quantized", out / "q.prototxt",
        PYTHONPATH=str(tmp_path / "broken"),
    )  # fmt: skip
    assert done.returncode == 1
    assert "ristretto-cnn[plot]" in done.stderr
    assert not out.exists()
