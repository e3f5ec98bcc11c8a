"""``ristretto export`` of words for hardware, as a user runs it, on the embedded LeNet."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ristretto.caffe.caffemodel import encode_weights
from ristretto.caffe.reader import load_weights, read_model
from ristretto.cli.main import main
from ristretto.outputs import Outputs
from tests.export import readers

KINDS = ("integers", "hex", "coe", "c-header")


@pytest.fixture(scope="module")
def lenet(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> list[str]:
    """The words that name LeNet with 8 bits everywhere, and its weights."""
    folder = tmp_path_factory.mktemp("lenet")
    text = (repo / "models" / "lenet" / "train_val.prototxt").read_text("utf-8")
    (folder / "net.prototxt").write_text(text.replace("models/lenet", str(repo / "models" / "lenet")))
    weights, quantized = repo / "models" / "lenet" / "lenet.caffemodel", folder / "quantized.prototxt"
    words = ["--model", folder / "net.prototxt", "--weights", weights, "--model_quantized", quantized]
    assert main(["quantize", *map(str, words), "--bits", "8/8/8", "--preset", "original", "--iterations", "1"]) == 0
    return ["--model", str(quantized), "--weights", str(weights)]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def refuse(capsys: pytest.CaptureFixture[str], words: list[str], *said: str, code: int = 1) -> None:
    """Hold a command to the promises about mistakes."""
    capsys.readouterr()
    assert main(["export", *words]) == code
    told = capsys.readouterr().err
    lines = told.strip().splitlines()
    assert sum(line.startswith("error: ") for line in lines) == 1, told
    assert all(line.startswith(("error: ", "hint: ", "note: ")) for line in lines), told
    assert all(word in told for word in said), told


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_files_and_what_json_says_of_it(
    lenet: list[str], tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "words"
    assert main(["export", *lenet, "--format", kind, "--golden", "2", str(out), "--json", "-"]) == 0
    told = capsys.readouterr()
    said, files = json.loads(told.out), snapshot(out)
    assert said["format"] == kind
    assert {entry["path"]: (entry["bytes"], int(entry["crc32"], 16)) for entry in said["files"]} == {
        path: (len(content), zlib.crc32(content)) for path, content in files.items()
    }
    assert f"wrote {out}: {len(files)} files" in told.err
    manifest = json.loads(files["manifest.json"])
    assert [layer["name"] for layer in manifest["layers"]] == ["conv1", "conv2", "ip1", "ip2"]
    assert manifest["golden"]["pictures"] == 2
    assert {entry["path"] for entry in manifest["files"]} == files.keys() - {"manifest.json"}
    again = tmp_path / "again"
    assert main(["export", *lenet, "--format", kind, "--golden", "2", str(again)]) == 0
    assert snapshot(again) == files


def test_golden_vectors_chain_through_the_net(lenet: list[str], tmp_path: Path) -> None:
    """The words of one layer, its accumulators and its outputs, in plain integers; and what pooling makes of them."""
    assert main(["export", *lenet, "--format", "integers", "--golden", "3", str(tmp_path / "w")]) == 0
    files = snapshot(tmp_path / "w")
    manifest = json.loads(files["manifest.json"])
    layers = {layer["name"]: layer for layer in manifest["layers"]}
    tables = {(t["layer"], t["name"]): readers.codes(files, t).astype(np.int64) for t in manifest["golden"]["tables"]}
    for name, layer in layers.items():
        weights, bias = (readers.codes(files, table).astype(np.int64) for table in layer["tables"])
        x, path, walk = tables[name, "inputs"], layer["datapath"], layer["walk"]
        if x.ndim == 4 and walk["kernel"] != [1, 1]:
            side = walk["kernel"][0]
            assert walk["stride"] == [1, 1]
            assert walk["pad"] == [0, 0]
            windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(2, 3))
            sums = (
                np.einsum("nchwij,ocij->nohw", windows, weights) + (bias << path["bias"]["left_shift"])[:, None, None]
            )
        else:
            sums = x.reshape(len(x), -1) @ weights.T + (bias << path["bias"]["left_shift"])
        np.testing.assert_array_equal(tables[name, "accumulators"], sums)
        scaled = np.abs(sums) * 2.0 ** -path["output"]["right_shift"]
        codes = np.sign(sums) * np.floor(scaled + 0.5).astype(np.int64)
        np.testing.assert_array_equal(
            tables[name, "outputs"], codes.clip(path["output"]["low_code"], path["output"]["high_code"])
        )
        assert np.abs(tables[name, "outputs"]).max() > 8
    made = tables["conv1", "outputs"].reshape(3, 20, 12, 2, 12, 2).max(axis=(3, 5))
    shift = layers["conv1"]["formats"]["layer_out"]["fl"] - layers["conv2"]["formats"]["layer_in"]["fl"]
    read = np.floor(made * 2.0**-shift + 0.5) if shift else made
    np.testing.assert_array_equal(tables["conv2", "inputs"].clip(0), read.clip(0, 127))


def test_a_second_export_takes_the_first_ones_place(lenet: list[str], tmp_path: Path) -> None:
    out = tmp_path / "words"
    assert main(["export", *lenet, "--format", "hex", "--golden", "1", str(out)]) == 0
    (out / "Makefile").write_text("all:\n")
    assert main(["export", *lenet, "--format", "integers", str(out)]) == 0
    assert snapshot(out).keys() == {"Makefile", "manifest.json", "weights.npz"}
    assert not (out / "golden").exists()


def test_more_pictures_than_a_batch_and_data_of_ones_own(lenet: list[str], tmp_path: Path) -> None:
    x = np.random.default_rng(8).integers(0, 256, (5, 1, 28, 28)).astype(np.uint8)
    np.save(tmp_path / "x.npy", x)
    words = ["--data", str(tmp_path / "x.npy"), "--batch_size", "2", "--format", "integers"]
    for count in (1, 5):
        out = tmp_path / f"words{count}"
        assert main(["export", *lenet, *words, "--golden", str(count), str(out)]) == 0
        files = snapshot(out)
        tables = json.loads(files["manifest.json"])["golden"]["tables"]
        (inputs,) = (t for t in tables if (t["layer"], t["name"]) == ("conv1", "inputs"))
        layer_in = json.loads(files["manifest.json"])["layers"][0]["formats"]["layer_in"]
        # The prototxt's transform scales to below 1.
        wanted = np.floor(x[:count] / 256 * 2.0 ** layer_in["fl"] + 0.5).clip(0, layer_in["high_code"])
        np.testing.assert_array_equal(readers.codes(files, inputs).astype(np.int64), wanted)


def test_halves_to_even_are_another_export(lenet: list[str], tmp_path: Path) -> None:
    for halves in ("away", "even"):
        assert main(["export", *lenet, "--format", "integers", "--round_halves", halves, str(tmp_path / halves)]) == 0
    told = {
        halves: json.loads((tmp_path / halves / "manifest.json").read_text())["rounding"] for halves in ("away", "even")
    }
    assert told == {"away": "half_away_from_zero", "even": "half_to_even"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_net_in_float_is_refused(
    lenet: list[str], repo: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = repo / "models" / "lenet" / "deploy.prototxt"
    words = ["--model", str(model), *lenet[2:], "--format", kind, str(tmp_path / "words")]
    refuse(capsys, words, "has no layer whose words are integers", "ristretto quantize")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_weights_with_nan_and_of_another_net(
    lenet: list[str], tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    net = load_weights(read_model(lenet[1]).net, lenet[3])
    spoilt = net["ip1"].blobs[0].copy()
    spoilt.flat[7] = np.nan
    for blob, said in ((spoilt, "NaN"), (np.zeros((3, 2), np.float32), "shape")):
        ip1 = replace(net["ip1"], blobs=(blob, *net["ip1"].blobs[1:]))
        other = tmp_path / "other.caffemodel"
        other.write_bytes(
            encode_weights(replace(net, layers=tuple(ip1 if layer.name == "ip1" else layer for layer in net)))
        )
        words = [*lenet[:3], str(other), "--format", kind, "--golden", "1", str(tmp_path / "words")]
        refuse(capsys, words, "layer 'ip1'", said)
        assert {path.name for path in tmp_path.iterdir()} == {"other.caffemodel"}


def test_places_that_no_export_may_go_to(lenet: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    model.write_bytes(Path(lenet[1]).read_bytes())
    weights.write_bytes(Path(lenet[3]).read_bytes())
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 28, 28)))
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("x")
    words = ["--model", str(model), "--weights", str(weights), "--format", "hex", "--golden", "1"]
    before = snapshot(tmp_path)
    for out, said in (
        (model, "is a file"),
        (weights, "is a file"),
        (tmp_path, "is not empty, and holds no earlier export"),
        (tmp_path / "thesis", "is not empty, and holds no earlier export"),
        (model / "words", "cannot write"),
        (Path("/dev/null"), "is a file"),
        (Path("/proc/words"), "cannot write"),
        (Path("n" * 300), "cannot write"),
    ):
        refuse(capsys, [*words, str(out)], said)
        assert snapshot(tmp_path) == before
    data = ["--data", str(tmp_path / "thesis")]
    refuse(capsys, [*words, *data, str(tmp_path / "thesis" / "words")], "is an input")
    refuse(capsys, [*words, str(tmp_path / "w"), "--json", str(model)], "is an input")
    refuse(capsys, [*words, str(tmp_path / "w"), "--json", str(tmp_path / "w" / "manifest.json")], "two outputs")
    refuse(capsys, [*words, str(tmp_path / "w"), "--json", str(tmp_path / "w" / "conv1.bias.mem")], "two outputs")
    assert snapshot(tmp_path) == before
    assert not (tmp_path / "w").exists()


def test_pictures_that_are_none(lenet: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*lenet, "--format", "integers", str(tmp_path / "words")]
    with pytest.raises(SystemExit) as caught:
        main(["export", *words, "--golden", "0"])
    assert caught.value.code == 2
    np.save(tmp_path / "none.npy", np.zeros((0, 1, 28, 28)))
    refuse(capsys, [*words, "--golden", "1", "--data", str(tmp_path / "none.npy")], "none.npy")
    refuse(capsys, [*words, "--golden", "1", "--data", str(tmp_path / "absent.npy")], "absent.npy")
    np.save(tmp_path / "nan.npy", np.full((1, 1, 28, 28), np.nan))
    refuse(capsys, [*words, "--golden", "1", "--data", str(tmp_path / "nan.npy")], "nan.npy", "NaN")
    assert not (tmp_path / "words").exists()


def test_pictures_that_nothing_is_told_of_but_how_they_are_prepared(
    lenet: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for golden in ([], ["--golden", "1"]):
        words = [*lenet, "--format", "integers", *golden, "--scale", "2", str(tmp_path / "out")]
        refuse(capsys, words, "how pictures are prepared is said, but not which ones", "--data")
        assert not (tmp_path / "out").exists()


def test_an_interrupted_export_leaves_nothing(
    lenet: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "words"
    assert main(["export", *lenet, "--format", "integers", str(out)]) == 0
    before, write = snapshot(out), Outputs.write

    def stop(outputs: Outputs, path: Path, *data: bytes) -> None:
        if str(path).endswith("ip1.weights.mem"):
            raise KeyboardInterrupt
        write(outputs, path, *data)

    monkeypatch.setattr(Outputs, "write", stop)
    assert main(["export", *lenet, "--format", "hex", "--golden", "1", str(out)]) == 130
    assert snapshot(out) == before
    assert main(["export", *lenet, "--format", "hex", str(tmp_path / "new")]) == 130
    assert not (tmp_path / "new").exists()


def test_the_program_itself(lenet: list[str], tmp_path: Path) -> None:
    words = [sys.executable, "-m", "ristretto", "export", *lenet, "-format=coe", tmp_path / "words"]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"wrote {tmp_path / 'words'}: 9 files, {done.stdout.rsplit(', ')[-1]}"
    weights = readers.coe((tmp_path / "words" / "conv1.weights.coe").read_text("ascii"))
    assert len(weights) == 500
