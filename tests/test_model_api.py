"""The small API: `ristretto.load` and the methods of what it gives."""

from __future__ import annotations

import dataclasses
import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ristretto
from ristretto import api
from ristretto.api.loading import with_weights
from ristretto.data.feed import table_of
from ristretto.model import FinetunedModel, Model, QuantizedModel

BITS = {ristretto.Part.CONV_PARAMS: 4, ristretto.Part.FC_PARAMS: 4, ristretto.Part.ACTIVATIONS: 8}


@pytest.fixture(scope="module")
def lenet(repo: Path) -> Model:
    return ristretto.load(repo / "models/lenet/train_val.prototxt", repo / "models/lenet/lenet.caffemodel")


@pytest.fixture(scope="module")
def quantized(lenet: Model) -> QuantizedModel:
    return lenet.quantize(bits=BITS, iterations=2, calibration_batches=2)


@pytest.fixture
def digits() -> np.ndarray:
    return np.random.default_rng(3).random((7, 1, 28, 28), np.float32)


def options(function: object) -> dict[str, tuple[object, object]]:
    """Give a function's keyword options with their defaults and types."""
    found = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    return {each.name: (each.default, each.annotation) for each in found if each.kind is each.KEYWORD_ONLY}


@pytest.mark.parametrize(
    ("method", "verb"),
    [
        (Model.score, api.test),
        (Model.run, api.run),
        (Model.quantize, api.quantize),
        (Model.sweep, api.sweep),
        (Model.fold, api.fold),
        (Model.hardware, api.hardware),
        (Model.export, api.export),
    ],
    ids=["score", "run", "quantize", "sweep", "fold", "hardware", "export"],
)
def test_a_method_has_the_options_of_its_verb(method: object, verb: object) -> None:
    assert options(verb)
    assert options(method) == options(verb)
    assert next(iter(inspect.signature(method).parameters)) == "self"  # type: ignore[arg-type]


def test_finetune_has_the_options_of_its_verb() -> None:
    known = {each.name: each.default for each in dataclasses.fields(api.Options)} | {
        name: default for name, (default, _) in options(api.finetune).items()
    }
    # The command's own: to start from fillers, from another prototxt; what is written beside; a loop of one's own.
    for name in ("starts_from_weights", "options", "model", "outputs", "stop", "listener"):
        del known[name]
    assert {name: default for name, (default, _) in options(Model.finetune).items()} == known


def test_every_public_name_is_there_and_every_other_one_is_refused() -> None:
    assert set(ristretto.__all__) <= set(dir(ristretto))
    for name in ristretto.__all__:
        assert getattr(ristretto, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        ristretto.lode  # type: ignore[attr-defined]  # noqa: B018


def test_importing_the_package_imports_nothing_that_takes_long() -> None:
    code = "import sys, ristretto; print(sorted({'numpy', 'numba', 'onnxruntime', 'ristretto.api'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_types_reach_the_user(repo: Path, tmp_path: Path) -> None:
    (tmp_path / "use.py").write_text(
        "import ristretto\n"
        'net = ristretto.load("a", "b")\n'
        "good: ristretto.QuantizedModel = net.quantize(iterations=3, error_margin=1)\n"
        'figure: float = good.score(executor="float")["accuracy"]\n'
        'net.export("onnx-float", "c", golden=True)\n'
        'net.quantize(iterations="many")\n'
        "net.score(iteration=3)\n"
        "net.export(3, 4)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", repo / "setup.cfg", tmp_path / "use.py"],
        capture_output=True,
        text=True,
        cwd=repo,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(str(tmp_path)) or "use.py" in line]
    assert [line.split(":")[1] for line in lines if "error:" in line] == ["6", "7", "8", "8"], done.stdout


def test_nothing_of_a_model_can_be_set(lenet: Model) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        lenet.net = lenet.net  # type: ignore[misc]
    blob = lenet.net["conv1"].blobs[0]
    with pytest.raises(ValueError, match="read-only"):
        blob[0] = 1


def test_a_model_shows_itself(lenet: Model, quantized: QuantizedModel) -> None:
    assert repr(lenet) == "<Model 'LeNet': 4 layers with weights, 431,080 parameters>"
    assert "InnerProduct" in str(lenet)
    assert repr(quantized).startswith("<QuantizedModel 'LeNet': 4/4/8 bits; accuracy 0.9")
    assert repr(quantized).endswith("; the margin holds>")
    assert "FcRistretto" in str(quantized)
    page = quantized._repr_html_()
    assert page.startswith("<pre>&lt;QuantizedModel")
    assert page.endswith("</pre>")
    assert "\x1b" not in page


def test_a_model_without_weights_can_be_looked_at_and_not_run(repo: Path, digits: np.ndarray) -> None:
    bare = ristretto.load(repo / "models/lenet/deploy.prototxt")
    assert repr(bare) == "<Model 'LeNet': without weights>"
    assert [row.name for row in bare.inspect().layers][:2] == ["data", "conv1"]
    with pytest.raises(ristretto.RistrettoError, match="layer 'conv1': no weights"):
        bare.run(digits)


def test_scores_are_those_of_the_command(lenet: Model, repo: Path) -> None:
    ours = lenet.score(iterations=3)
    theirs = api.test(repo / "models/lenet/train_val.prototxt", repo / "models/lenet/lenet.caffemodel", iterations=3)
    assert ours.figures == theirs.figures
    assert ours["accuracy"] == float(theirs.outputs["accuracy"])
    assert repr(ours) == (
        f"Scores(accuracy={ours['accuracy']:.6g}, loss={ours['loss']:.6g}, "
        f"accuracy_argmax={ours['accuracy_argmax']:.6g}, iterations=3)"
    )


def test_quantized_scores_are_those_of_what_it_saves(quantized: QuantizedModel, tmp_path: Path, repo: Path) -> None:
    quantized.save(tmp_path / "q.prototxt", json=tmp_path / "q.json")
    # Its data lie where the source says, which is looked for from the current folder and from the source's.
    again = api.load(tmp_path / "q.prototxt", repo / "models/lenet/lenet.caffemodel")[1]
    for layer in again:
        assert layer.quant == quantized.net[layer.name].quant if layer.blobs else layer.quant is None
    assert (tmp_path / "q.prototxt").read_bytes() == quantized.found.encoded()
    assert json.loads((tmp_path / "q.json").read_text("utf-8"))["bits"] == quantized.bits
    assert quantized.score(iterations=2)["accuracy"] == quantized.result.score.value
    assert not quantized.has_own_weights
    assert quantized.text == (tmp_path / "q.prototxt").read_text("utf-8")


def test_what_is_quantized_can_be_quantized_again(quantized: QuantizedModel) -> None:
    wider = quantized.quantize(bits=dict.fromkeys(BITS, 8), iterations=2, calibration_batches=2)
    assert wider.bits == dict.fromkeys(quantized.bits, 8)
    assert wider.result.baseline == quantized.result.baseline


def test_run_gives_what_an_executor_gives_picture_by_picture(quantized: QuantizedModel, digits: np.ndarray) -> None:
    whole = quantized.run(digits, keep=["conv2.top0"])
    assert list(whole) == ["ip2", "conv2.top0"]
    alone = np.concatenate([quantized.run(digit[None], executor="simulate")["ip2"] for digit in digits])
    np.testing.assert_array_equal(whole["ip2"], alone)
    assert quantized.run(digits[:0])["ip2"].shape == (0, 10)


def test_hardware_sees_the_net_in_memory(quantized: QuantizedModel) -> None:
    found = quantized.hardware(iterations=1)
    assert [layer.name for layer in found.layers] == ["conv1", "conv2", "ip1", "ip2"]


def test_run_takes_labels_too(lenet: Model, digits: np.ndarray) -> None:
    labels = lenet.run(digits, executor="float")["ip2"].argmax(axis=1)
    found = lenet.run({"data": digits, "label": labels})
    assert set(found) == {"accuracy", "loss"}
    assert found["accuracy"] == 1


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"image": np.zeros((1, 1, 28, 28))}, "reads no blob 'image' from outside"),
        (np.zeros((1, 3, 28, 28)), "weight blob 0 has shape"),
        (np.zeros((28, 28)), "layer 'conv1'"),
        (np.array(["seven"]), "no array of numbers"),
        ({"label": np.zeros(4)}, "no layer can be run from 'label'"),
        ({}, "no layer can be run"),
        ([[1, 2], [3]], "no array of numbers"),
    ],
    ids=["name", "channels", "axes", "text", "labels alone", "nothing", "ragged"],
)
def test_arrays_that_make_no_sense_are_refused(lenet: Model, arrays: object, reason: str) -> None:
    with pytest.raises(ristretto.RistrettoError, match=reason):
        lenet.run(arrays)  # type: ignore[arg-type]


def test_arrays_feed_as_the_same_arrays_in_a_file_do(lenet: Model, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    arrays = {"data": rng.integers(0, 256, (200, 1, 28, 28), np.uint8), "label": rng.integers(0, 10, 200)}
    np.savez(tmp_path / "digits.npz", **arrays)
    assert (
        lenet.score(data=arrays, iterations=2).figures
        == lenet.score(data=tmp_path / "digits.npz", iterations=2).figures
    )
    ours = lenet.quantize(data=arrays, calibration_data=arrays, bits=BITS, iterations=2, calibration_batches=2)
    assert ours.found.stats.source.startswith("arrays ")
    other = arrays | {"data": arrays["data"][::-1].copy()}
    apart = lenet.quantize(data=other, calibration_data=arrays, bits=BITS, iterations=2, calibration_batches=2)
    assert ours.result.baseline != apart.result.baseline
    assert ours.found.stats.source == apart.found.stats.source


def test_arrays_are_named_by_what_they_hold() -> None:
    ones, twos = ({"data": np.full((2, 3), value)} for value in (1.0, 2.0))
    assert table_of(ones).name == table_of({"data": np.ones((2, 3))}).name
    assert table_of(ones).name != table_of(twos).name


def test_arrays_of_different_lengths_are_refused(lenet: Model) -> None:
    with pytest.raises(ristretto.RistrettoError, match="differ in rows: 'data' 3, 'label' 4"):
        lenet.score(data={"data": np.zeros((3, 1, 28, 28)), "label": np.zeros(4)})


def test_arrays_of_objects_are_refused(lenet: Model) -> None:
    with pytest.raises(ristretto.RistrettoError, match="'data' in memory is of the type object"):
        lenet.score(data={"data": np.array([None])})


def test_one_changed_blob_is_enough_to_need_other_weights(quantized: QuantizedModel) -> None:
    last = quantized.net["ip2"]
    changed = dataclasses.replace(last, blobs=(last.blobs[0], last.blobs[1].copy()))
    layers = tuple(changed if layer is last else layer for layer in quantized.net)
    assert dataclasses.replace(quantized, net=dataclasses.replace(quantized.net, layers=layers)).has_own_weights
    assert not quantized.has_own_weights


def test_changed_weights_are_saved_or_asked_for(lenet: Model, tmp_path: Path) -> None:
    bias = ristretto.Techniques(rounding=False, centring=False, checked=False)
    refined = lenet.quantize(bits=BITS, refine=bias, iterations=1, calibration_batches=1)
    assert refined.has_own_weights
    with pytest.raises(ristretto.RistrettoError, match="were changed, and would be lost") as caught:
        refined.save(tmp_path / "r.prototxt")
    assert "weights=" in caught.value.hint
    assert caught.value.__notes__ == [f"hint: {caught.value.hint}"]
    assert not list(tmp_path.iterdir())
    refined.save(tmp_path / "r.prototxt", tmp_path / "r.caffemodel")
    saved = with_weights(refined.source.net, tmp_path / "r.caffemodel")
    fmt = refined.net["ip2"].quant.params  # type: ignore[union-attr]
    np.testing.assert_array_equal(saved["ip2"].blobs[0], fmt.trim(refined.net["ip2"].blobs[0]))  # type: ignore[union-attr]


def test_a_folded_net_is_a_model(repo: Path, tmp_path: Path) -> None:
    name = "mobilenet_v1"
    made = api.init_weights(repo / f"models/{name}/deploy.prototxt", seed=1)
    (tmp_path / "net.caffemodel").write_bytes(made.encoded())
    net = ristretto.load(repo / f"models/{name}/deploy.prototxt", tmp_path / "net.caffemodel")
    folded = net.fold()
    assert len(list(folded.net)) < len(list(net.net))
    folded.save(tmp_path / "folded.prototxt", tmp_path / "folded.caffemodel")
    again = ristretto.load(tmp_path / "folded.prototxt", tmp_path / "folded.caffemodel")
    assert repr(again) == repr(folded)


def test_no_file_is_written_over_one_that_was_read(repo: Path, tmp_path: Path) -> None:
    model = tmp_path / "net.prototxt"
    model.write_bytes((repo / "models/lenet/deploy.prototxt").read_bytes())
    net = ristretto.load(model, repo / "models/lenet/lenet.caffemodel")
    with pytest.raises(ristretto.RistrettoError, match="is an input and would be overwritten"):
        net.save(model)
    with pytest.raises(ristretto.RistrettoError, match="is an input and would be overwritten"):
        net.export("onnx-float", model)
    assert model.read_bytes() == (repo / "models/lenet/deploy.prototxt").read_bytes()


def test_two_outputs_of_one_name_are_refused(lenet: Model, quantized: QuantizedModel, tmp_path: Path) -> None:
    for model, options in ((lenet, {"weights": tmp_path / "a"}), (quantized, {"json": tmp_path / "b" / ".." / "a"})):
        with pytest.raises(ristretto.RistrettoError, match="is named for two outputs"):
            model.save(tmp_path / "a", **options)
        assert not list(tmp_path.iterdir())


def test_an_export_takes_the_place_of_an_earlier_one_and_of_nothing_else(
    quantized: QuantizedModel, tmp_path: Path
) -> None:
    out = tmp_path / "words"
    quantized.export("coe", out)
    done = quantized.export("integers", out)
    assert {path.name for path in out.iterdir()} == set(done.files) == {"weights.npz", "manifest.json"}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ristretto.RistrettoError, match="is not empty, and holds no earlier export"):
        quantized.export("integers", tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_finetune_goes_on_from_the_weights_in_memory(
    quantized: QuantizedModel, tmp_path: Path, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repo)
    solver = tmp_path / "solver.prototxt"
    solver.write_text(
        'net: "models/lenet/train_val.prototxt" test_iter: 1 test_interval: 100 base_lr: 0 lr_policy: "fixed" '
        f'max_iter: 1 snapshot_after_train: false snapshot_prefix: "{tmp_path}/s" random_seed: 1\n'
    )
    tuned = quantized.finetune(solver)
    assert isinstance(tuned, FinetunedModel)
    # A learning rate of nothing: the weights are those that it began with, and so is the score.
    np.testing.assert_array_equal(tuned.net["ip2"].blobs[0], quantized.net["ip2"].blobs[0])
    assert tuned.scores[0]["accuracy"] == quantized.score(iterations=1)["accuracy"]
    assert "Scores(accuracy=" in repr(tuned)
