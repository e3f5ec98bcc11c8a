"""The job file: what it may hold, and one clear line on all that it may not."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from ristretto.cli import export, quantize
from ristretto.cli.job_options import READING, read_options
from ristretto.data import Preparation
from ristretto.errors import JobError
from ristretto.jobs import JobFile, read_jobs
from ristretto.jobs.job import INPUTS, OUTPUT_FILES, PARETO, PERFORMANCE
from ristretto.net import Part
from ristretto.search.refine import Techniques
from ristretto.search.sites import Kept

GOOD = """
[[job]]
name = "lenet"
model = "net.prototxt"
weights = "net.caffemodel"
model_quantized = "out/net.prototxt"
"""
SECOND = GOOD.replace('"lenet"', '"second"').replace("out/net", "out/second")


def read(folder: Path, toml: str | bytes) -> JobFile:
    path = folder / "ristretto.toml"
    path.write_bytes(toml if isinstance(toml, bytes) else toml.encode())
    return read_jobs(path, READING)


def test_a_job_has_what_its_tables_say(tmp_path: Path) -> None:
    toml = """
    [defaults]
    weights = "common.caffemodel"
    minimum_accuracy = 0.5
    [defaults.quantize]
    iterations = 7
    error_margin = 3
    """
    toml += (
        GOOD
        + """
    json = "./out//result.json"
    calibration_data = "../elsewhere/train_lmdb"
    minimum_accuracy = 1
    weights_quantized = "out/net.caffemodel"
    [job.quantize]
    error_margin = 0.5
    keep = ["conv1=8", "conv2=4/8"]
    granularity = "layer"
    refine = ["bias", "rounding"]
    mean_value = [104, 117.5, -3]
    no_cache = true
    [[job.export]]
    format = "integers"
    out = "out/words"
    golden = 2
    """
    )
    file = read(tmp_path, toml + SECOND.replace('weights = "net.caffemodel"\n', ""))
    first, second = file.jobs
    assert file.lock == tmp_path / "ristretto.lock"
    assert (first.name, second.name) == ("lenet", "second")
    assert (first.inputs["weights"], second.inputs["weights"]) == ("net.caffemodel", "common.caffemodel")
    assert (first.minimum_accuracy, second.minimum_accuracy) == (1.0, 0.5)
    assert first.outputs["json"] == "out/result.json"
    assert {key: first.keywords[key] for key in ("iterations", "error_margin", "cached", "calibration_data")} == {
        "iterations": 7,
        "error_margin": 0.5,
        "cached": False,
        "calibration_data": "../elsewhere/train_lmdb",
    }
    assert first.keywords["keep"] == {"conv1": Kept(8, 8), "conv2": Kept(4, 8)}
    assert first.keywords["refine"] == Techniques(bias=True, rounding=True, centring=False, checked=False)
    assert first.keywords["preparation"] == Preparation(mean_value=(104, 117.5, -3))
    assert (second.keywords["error_margin"], second.keywords["cached"], second.exports) == (3.0, True, ())
    (exported,) = first.exports
    assert (exported.kind, exported.out, exported.is_folder, exported.keywords["golden"]) == (
        "integers",
        "out/words",
        True,
        2,
    )
    assert "no_cache" not in first.decisive_options


def test_an_export_is_of_the_data_of_its_job(tmp_path: Path) -> None:
    toml = GOOD + 'data = "val_lmdb"\nquantize.crop_size = 227\nexport = [{format = "onnx-float", out = "n.onnx"}]\n'
    (job,) = read(tmp_path, toml).jobs
    keywords = job.exports[0].keywords
    assert (keywords["data"], keywords["preparation"]) == ("val_lmdb", Preparation(crop_size=227))


def test_defaults_of_the_options_are_those_of_the_command_line(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    quantize.add_arguments(parser)
    words = ["--model=net.prototxt", "--weights=net.caffemodel", "--model_quantized=out/net.prototxt"]
    (job,) = read(tmp_path, GOOD).jobs
    assert job.keywords == quantize.chosen_settings(parser.parse_args(words))


MISTAKES: dict[str, tuple[str | bytes, str, str]] = {
    "no TOML": ("[[job]\n", "is no TOML", "line 1"),
    "no text": (b"\xff\xfe", "is not in UTF-8", ""),
    "huge number": ("x = " + "9" * 5000, "is no TOML", ""),
    "deep": ("x = " + "[" * 5000 + "]" * 5000, "ristretto.toml", ""),
    "empty": ("", "lists no job", "[[job]]"),
    "no list": ("job = 1", "job must be a list, not 1", ""),
    "no table": ("job = [1]", "job 1 is no table", ""),
    "one table": ("[job]\nname = 'x'", "job must be a list", ""),
    "unknown table": (f"[default]\n{GOOD}", "there is no key 'default'", "did you mean 'defaults'?"),
    "unknown key": (GOOD + 'wieghts = "x"', "job 'lenet': there is no key 'wieghts'", "did you mean 'weights'?"),
    "output in defaults": (f'[defaults]\njson = "x"\n{GOOD}', "[defaults]: there is no key 'json'", "there are:"),
    "no name": (GOOD.replace('name = "lenet"', ""), "job 1: name is missing", ""),
    "bad name": (GOOD.replace('"lenet"', r'"a\nb"'), "is no name", ""),
    "name of a wrong kind": (GOOD.replace('"lenet"', "3"), "name must be a text, not 3", ""),
    "no model": (GOOD.replace('model = "net.prototxt"', ""), "job 'lenet': model is missing", ""),
    "no output": (GOOD.replace("model_quantized", "#"), "model_quantized is missing", ""),
    "empty path": (GOOD + 'json = ""', "json is no path", ""),
    "NUL in a path": (GOOD + r'json = "a\u0000b"', "json is no path", ""),
    "path of a wrong kind": (GOOD + "json = ['a']", "json must be a text", ""),
    "options no table": (GOOD + "quantize = 3", "quantize must be a table", ""),
    "unknown option": (GOOD + "quantize.error_margn = 3", "there is no option 'error_margn'", "mean 'error_margin'?"),
    "dashes": (GOOD + "quantize.error-margin = 3", "there is no option 'error-margin'", "did you mean 'error_margin'?"),
    "abbreviation": (GOOD + "quantize.iter = 3", "there is no option 'iter'", ""),
    "bad choice": (GOOD + 'quantize.preset = "best"', "preset: invalid choice: 'best'", ""),
    "bad number": (GOOD + "quantize.error_margin = 101", "error_margin: 101 does not lie between 0 and 100", ""),
    "text for a number": (GOOD + 'quantize.iterations = "many"', "iterations: invalid whole number value: 'many'", ""),
    "fraction for a whole number": (GOOD + "quantize.iterations = 1.5", "iterations: invalid whole number", ""),
    "true for a number": (GOOD + "quantize.iterations = true", "iterations: give a text or a number, not True", ""),
    "number for a switch": (GOOD + "quantize.no_cache = 1", "no_cache: give true or false, not 1", ""),
    "table for a number": (GOOD + "quantize.iterations.x = 1", "iterations: give a text or a number", ""),
    "date": (GOOD + "quantize.iterations = 2020-01-01", "iterations: give a text or a number", ""),
    "options that exclude each other": (
        GOOD + 'quantize.emulate = "fork-cpu"\nquantize.round_halves = "even"',
        "not allowed with",
        "",
    ),
    "options that need an output": (GOOD + 'quantize.refine = "bias"', "--refine changes weights", ""),
    "layer kept twice": (GOOD + 'quantize.keep = ["a=1", "a=2"]', "names layer 'a' twice", ""),
    "path among options": (GOOD + 'quantize.model_quantized = "x"', "'model_quantized' is none of the", "the job"),
    "data among options": (GOOD + 'quantize.data = "x"', "'data' is none of the options", ""),
    "limit that is no fraction": (GOOD + "minimum_accuracy = 98", "minimum_accuracy is 98", "0.98 for 98 %"),
    "limit that is no number": (GOOD + "max_loss = nan", "max_loss is nan", ""),
    "limit of a wrong kind": (GOOD + "max_loss = true", "max_loss must be a number", ""),
    "exports no list": (GOOD + "export = 1", "export must be a list", ""),
    "export no table": (GOOD + "export = [1]", "export 1 is no table", ""),
    "export without a format": (GOOD + 'export = [{out = "x"}]', "export 1: format is missing", ""),
    "export of no format": (GOOD + 'export = [{format = "onx-float", out = "x"}]', "no format 'onx-float'", "mean"),
    "export with no such option": (
        GOOD + 'export = [{format = "onnx-float", out = "x", gold = 1}]',
        "export 1: there is no option 'gold'",
        "did you mean 'golden'?",
    ),
    "export with other data": (
        GOOD + 'export = [{format = "onnx-float", out = "x", batch_size = 1}]',
        "'batch_size' is none of the options",
        "",
    ),
    "two of one name": (GOOD + GOOD.replace("out/net", "out/other"), "two jobs are called 'lenet'", ""),
    "two jobs write one file": (
        GOOD + SECOND.replace("out/second", "./out/../out/net"),
        "job 'second': out/net.prototxt is written by job 'lenet', too",
        "",
    ),
    "one job writes one file twice": (GOOD + 'json = "out/net.prototxt"', "out/net.prototxt is written twice", ""),
    "a file in another's folder": (
        GOOD + 'export = [{format = "integers", out = "out"}]',
        "out is written twice",
        "",
    ),
    "output is input": (GOOD.replace("out/net.prototxt", "net.prototxt"), "would overwrite the input net.prototxt", ""),
    "output is another's input": (
        GOOD + SECOND.replace('"net.prototxt"', '"out/net.prototxt"'),
        "out/net.prototxt, which job 'lenet' writes, would overwrite the input out/net.prototxt",
        "",
    ),
    "output folder holds an input": (
        GOOD.replace('"net.', '"in/net.') + 'export = [{format = "integers", out = "in"}]',
        "would overwrite the input in/net.prototxt",
        "",
    ),
    "output outside": (GOOD.replace("out/net", "../net"), "../net.prototxt lies outside the folder", ""),
    "output with an absolute path": (GOOD.replace("out/net", "/net"), "/net.prototxt lies outside", ""),
    "output is the job file": (GOOD.replace("out/net.prototxt", "ristretto.toml"), "overwrite ristretto.toml", ""),
    "output is the lock": (GOOD.replace("out/net.prototxt", "ristretto.lock"), "would overwrite ristretto.lock", ""),
    "output folder is all": (GOOD + 'export = [{format = "integers", out = "."}]', "overwrite ristretto.toml", ""),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_mistake_is_one_clear_line(tmp_path: Path, mistake: str) -> None:
    toml, message, hint = MISTAKES[mistake]
    with pytest.raises(JobError) as caught:
        read(tmp_path, toml)
    assert message in caught.value.message
    assert "ristretto.toml" in caught.value.message
    assert hint in f"{caught.value.message} {caught.value.hint}"
    assert not list(tmp_path.glob("**/*.part"))
    assert [path.name for path in tmp_path.iterdir()] == ["ristretto.toml"]


def test_an_output_behind_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "other").mkdir()
    (project / "out").symlink_to(tmp_path / "other")
    with pytest.raises(JobError, match="lies outside the folder"):
        read(project, GOOD)


def test_an_output_within_a_folder_that_is_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "val_lmdb").mkdir()
    with pytest.raises(JobError, match="would overwrite the input val_lmdb"):
        read(tmp_path, GOOD.replace("out/net", "val_lmdb/net") + 'data = "val_lmdb"')


def test_a_project_behind_a_link_is_none_the_worse(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert read(tmp_path / "link", GOOD).jobs


@pytest.mark.parametrize("name", ["absent.toml", "", "some.lock"])
def test_a_file_that_is_none_is_one_clear_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(JobError) as caught:
        read_jobs(tmp_path / name, READING)
    assert "--file" in caught.value.hint or "job file" in caught.value.hint


def flags(command: object) -> dict[str, argparse.Action]:
    parser = argparse.ArgumentParser(add_help=False)
    command.add_arguments(parser)  # type: ignore[attr-defined]
    return {a.option_strings[-1].removeprefix("--"): a for a in parser._actions if a.option_strings}


def test_every_option_of_quantize_is_a_key_of_the_job_or_decides_on_its_keywords() -> None:
    """An option that names a file must not be passed over in silence: it must be one of the job's own keys."""
    of_job = {*INPUTS, *OUTPUT_FILES, PARETO}
    actions = flags(quantize)
    assert of_job | set(PERFORMANCE) <= set(actions)
    files = {
        name for name, action in actions.items() if action.metavar in ("PROTOTXT", "CAFFEMODEL", "FILE", "DIR", "PATH")
    }
    assert files - {"mean_file"} == of_job


@pytest.mark.parametrize(
    ("option", "value", "keyword", "expected"),
    [
        ("bits", "4/-/8", "bits", {Part.CONV_PARAMS: 4, Part.ACTIVATIONS: 8}),
        ("scale", -0.5, "preparation", Preparation(scale=-0.5)),
        ("mean_value", -1, "preparation", Preparation(mean_value=(-1.0,))),
        ("score", "--odd", "score_blob", "--odd"),
        ("no_cache", False, "cached", True),
        ("keep", "conv1=8", "keep", {"conv1": Kept(8, 8)}),
    ],
)
def test_values_are_read_as_the_command_line_reads_them(
    option: str, value: object, keyword: str, expected: object
) -> None:
    named = {"model": "a", "weights": "b", "model_quantized": "c"}
    assert read_options(quantize, {**named, option: value})[keyword] == expected


def test_a_positional_argument_may_begin_with_a_dash() -> None:
    named = {"model": "a", "weights": "b", "format": "integers", "out": "-o"}
    assert read_options(export, {**named, "golden": 3})["golden"] == 3
