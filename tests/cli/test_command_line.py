"""The command line, run as a user runs it: a process of its own, the embedded LeNet, files on disk."""

from __future__ import annotations

import difflib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

QUANTIZE = ["--trimming_mode", "dynamic_fixed_point", "--iterations", "4", "--error_margin", "1", "--report_split", "0"]


@pytest.fixture(scope="session")
def lenet(repo: Path) -> dict[str, str]:
    folder = repo / "models" / "lenet"
    return {"model": str(folder / "train_val.prototxt"), "weights": str(folder / "lenet.caffemodel")}


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "ristretto", *map(str, words)]


def run(*words: object, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words), cwd=cwd, capture_output=True, text=True, env={**os.environ, **env}, timeout=300
    )


def files(net: dict[str, str]) -> list[str]:
    return ["--model", net["model"], "--weights", net["weights"]]


@pytest.fixture(scope="session")
def quantized(lenet: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The embedded LeNet, quantized once by each preset."""
    folder = tmp_path_factory.mktemp("quantized")
    found: dict[str, Any] = {"folder": folder}
    for preset in ("original", "accurate"):
        out, data = folder / f"{preset}.prototxt", folder / f"{preset}.json"
        words = ["quantize", *files(lenet), "--model_quantized", out, *QUANTIZE, "--preset", preset, "--json", data]
        found[preset] = {"run": run(*words), "prototxt": out, "json": json.loads(data.read_text("utf-8"))}
    return found


def test_quantize_prints_the_originals_summary(quantized: dict[str, Any]) -> None:
    done = quantized["accurate"]["run"]
    assert done.returncode == 0, done.stderr
    for word in ("baseline", "CONV weights", "FC weights", "layer outputs", "The margin holds", "accuracy"):
        assert word in done.stdout
    assert "wrote" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr, "colour codes where there is no terminal"


@pytest.mark.parametrize("preset", ["original", "accurate"])
def test_quantize_json_has_what_it_promises(quantized: dict[str, Any], preset: str) -> None:
    data = quantized[preset]["json"]
    assert data["preset"] == preset
    assert data["error_margin"] == 1
    assert set(data["bits"]) == {"conv_params", "fc_params", "activations"}
    assert all(isinstance(width, int) for width in data["bits"].values())
    assert {trial["part"] for trial in data["trials"]} == {*data["bits"], "all"}
    assert all({"part", "bit_width", "score"} <= set(trial) for trial in data["trials"])
    assert [layer["name"] for layer in data["layers"]] == ["conv1", "conv2", "ip1", "ip2"]
    assert data["within_margin"] is (data["score"] + 0.01 >= data["baseline_score"])
    assert quantized[preset]["run"].returncode == (0 if data["within_margin"] else 3)


def test_emitted_prototxt_differs_in_types_and_quantization_only(
    quantized: dict[str, Any], lenet: dict[str, str]
) -> None:
    source = Path(lenet["model"]).read_text("utf-8").splitlines()
    emitted = quantized["accurate"]["prototxt"].read_text("utf-8").splitlines()
    changed = [
        line[1:].strip()
        for line in difflib.unified_diff(source, emitted, lineterm="", n=0)
        if line[0] in "+-" and line[:3] not in ("+++", "---")
    ]
    types = [line for line in changed if line.startswith("type:")]
    assert len(types) == 8
    inside = [line for line in changed if line not in types]
    assert inside
    assert all(line.split("_")[0].split(":")[0] in ("quantization", "bw", "fl", "}") for line in inside)


def test_test_prints_every_output_and_both_accuracies(quantized: dict[str, Any], lenet: dict[str, str]) -> None:
    words = ["test", "--model", quantized["accurate"]["prototxt"], "--weights", lenet["weights"], "--iterations", "4"]
    done = run(*words)
    assert done.returncode == 0, done.stderr
    names = [line.split(" = ")[0] for line in done.stdout.splitlines()]
    assert names == ["accuracy", "accuracy_argmax", "loss"]
    by_executor = {}
    for executor in ("integer", "simulate", "float"):
        done = run(*words, "--executor", executor, "--json", "-")
        by_executor[executor] = json.loads(done.stdout)
        assert "accuracy =" in done.stderr
    assert by_executor["integer"] == by_executor["simulate"]
    assert by_executor["integer"]["accuracy"] == quantized["accurate"]["json"]["score"]
    assert by_executor["integer"]["accuracy_argmax"] == quantized["accurate"]["json"]["score_argmax"]
    assert by_executor["float"]["accuracy"] == quantized["accurate"]["json"]["baseline_score"]
    assert by_executor["float"]["loss"] != by_executor["integer"]["loss"]


def test_requantizing_replaces_the_blocks(quantized: dict[str, Any], lenet: dict[str, str], tmp_path: Path) -> None:
    again = tmp_path / "again.prototxt"
    model = quantized["original"]["prototxt"]
    words = ["quantize", "--model", model, "--weights", lenet["weights"], "--model_quantized", again, *QUANTIZE]
    assert run(*words).returncode == 0
    assert again.read_bytes() == quantized["accurate"]["prototxt"].read_bytes()


@pytest.mark.parametrize("preset", ["original", "accurate"])
def test_any_number_of_threads_writes_the_same_bytes(
    quantized: dict[str, Any], lenet: dict[str, str], tmp_path: Path, preset: str
) -> None:
    for threads in (1, 2, 5):
        out, data = tmp_path / f"{threads}.prototxt", tmp_path / f"{threads}.json"
        words = ["quantize", *files(lenet), "--model_quantized", out, *QUANTIZE, "--json", data]
        run(*words, "--preset", preset, "--threads", threads)
        assert out.read_bytes() == quantized[preset]["prototxt"].read_bytes()
        assert data.read_bytes() == (quantized["folder"] / f"{preset}.json").read_bytes()


def test_runs_from_any_folder(lenet: dict[str, str], tmp_path: Path) -> None:
    done = run("test", *files(lenet), "--iterations", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_originals_spelling_of_flags_works(lenet: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "q.prototxt"
    done = run(
        "quantize", f"-model={lenet['model']}", "-weights", lenet["weights"], f"--model-quantized={out}",
        "--trimming-mode=dynamic_fixed_point", "-gpu=0", "-iterations=1", "--error-margin", "2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "--gpu is ignored" in done.stderr
    assert out.exists()


def test_a_missed_margin_exits_with_3_and_writes_the_file(lenet: dict[str, str], tmp_path: Path) -> None:
    # On few pictures with no margin at all, the original's uncoordinated choice loses some of them.
    out = tmp_path / "q.prototxt"
    words = ["quantize", *files(lenet), "--model_quantized", out, "--preset", "original", "--iterations", "40"]
    done = run(*words, "--error_margin", "0", "--json", tmp_path / "r.json")
    data = json.loads((tmp_path / "r.json").read_text())
    assert out.exists()
    assert done.returncode == (0 if data["within_margin"] else 3)
    assert ("MISSED" in done.stdout) is (done.returncode == 3)


def test_inspect_lists_layers_with_their_figures(quantized: dict[str, Any], lenet: dict[str, str]) -> None:
    done = run("inspect", *files(lenet), "--json", "-")
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)["layers"]}
    assert rows["conv1"]["shapes"] == [[100, 20, 24, 24]]
    assert (rows["conv1"]["parameters"], rows["conv1"]["macs"]) == (20 * 25 + 20, 20 * 24 * 24 * 25)
    assert (rows["ip1"]["parameters"], rows["ip1"]["macs"]) == (500 * 800 + 500, 500 * 800)
    assert rows["conv1"]["formats"] is None
    total = sum(row["parameters"] for row in rows.values())
    assert total == 431_080
    table = run("inspect", "--model", quantized["accurate"]["prototxt"])
    assert table.returncode == 0, table.stderr
    assert "ConvolutionRistretto" in table.stdout
    assert "431,080" in table.stdout


def test_inspect_needs_no_data(lenet: dict[str, str], tmp_path: Path) -> None:
    text = Path(lenet["model"]).read_text("utf-8").replace("models/lenet/digits", "nowhere/digits")
    lonely = tmp_path / "net.prototxt"
    lonely.write_text(text, "utf-8")
    done = run("inspect", "--model", lonely)
    assert done.returncode == 0, done.stderr
    assert "conv1" in done.stdout
    assert "shapes are unknown" in done.stdout


@pytest.mark.parametrize("words", [[], ["quantize"], ["test"], ["inspect"]])
def test_help_shows_examples_and_exit_codes(words: list[str]) -> None:
    done = run(*words, "--help")
    assert done.returncode == 0
    assert ("examples:" if words else "exit codes") in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["fly"],
        ["quantize"],
        ["quantize", "--model", "a", "--weights", "b", "--model_quantized", "c", "--trimming_mode", "nonsense"],
        ["test", "--model", "a", "--weights", "b", "--iterations", "0"],
        ["test", "--model", "a", "--weights", "b", "--iterations", "many"],
        ["test", "--model", "a", "--weights", "b", "--nonsense"],
        ["quantize", "--model", "a", "--weights", "b", "--model_quantized", "c", "--error_margin", "-1"],
        ["quantize", "--model", "a", "--weights", "b", "--model_quantized", "c", "--error_margin", "nan"],
    ],
)
def test_wrong_usage_exits_with_2(words: list[str]) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert "usage:" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupt_leaves_no_file(lenet: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "q.prototxt"
    words = command("quantize", *files(lenet), "--model_quantized", out, "--iterations", "4000")
    process = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests themselves run in the background, the shell has made them, and so this child, deaf to SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert list(tmp_path.iterdir()), "the output was not reserved"
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    assert not list(tmp_path.iterdir())


def test_a_progress_bar_shows_on_a_terminal(lenet: dict[str, str], tmp_path: Path) -> None:
    import pty

    main_end, program_end = pty.openpty()
    words = command("test", *files(lenet), "--iterations", "40", "--executor", "simulate")
    with subprocess.Popen(
        words, stdout=program_end, stderr=program_end, env={**os.environ, "TERM": "xterm"}
    ) as process:
        os.close(program_end)
        shown = b""
        while True:
            try:
                chunk = os.read(main_end, 65536)
            except OSError:
                break
            if not chunk:
                break
            shown += chunk
    os.close(main_end)
    assert process.returncode == 0
    assert b"scoring" in shown
    assert b"/40" in shown


@pytest.mark.parametrize(("bits", "widths"), [("4/-/8", (8, 8, 32)), ("8/8/-", (32, 32, 8))])
def test_a_part_that_is_left_in_float_gets_the_forks_word_for_it(
    lenet: dict[str, str], tmp_path: Path, bits: str, widths: tuple[int, int, int]
) -> None:
    out = tmp_path / "q.prototxt"
    done = run("quantize", *files(lenet), "--bits", bits, "--iterations", "2", "--model_quantized", out)
    assert done.returncode == 0, done.stderr
    fields = dict(re.findall(r"(bw_\w+): (\d+)", out.read_text("utf-8").split('name: "ip1"')[1]))
    assert (fields["bw_layer_in"], fields["bw_layer_out"], fields["bw_params"]) == tuple(map(str, widths))
