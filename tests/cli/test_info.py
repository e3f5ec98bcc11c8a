"""``ristretto info``, the notice of a first compilation, and the cache that spares the next process the wait."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from ristretto import __version__, api
from ristretto.errors import RistrettoError
from ristretto.execute import default_threads
from ristretto.kernels import jit
from ristretto.kernels.cpu import runnable

COMPILING, COMPILED = "compiling the kernels for", "compiled the kernels in"


def start(cache: Path, *words: object, **env: str) -> subprocess.Popen[str]:
    """Start the program on a cache of its own."""
    inherited = {name: value for name, value in os.environ.items() if name != "RISTRETTO_TIER"}
    return subprocess.Popen(
        [sys.executable, "-m", "ristretto", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**inherited, "NUMBA_CACHE_DIR": str(cache), **env},
    )


def run(cache: Path, *words: object, **env: str) -> tuple[int, str, str]:
    """Give exit code, standard output and standard error."""
    process = start(cache, *words, **env)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def info(cache: Path, *words: object, **env: str) -> dict[str, Any]:
    code, out, err = run(cache, "info", "--json", "-", *words, **env)
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.fixture(scope="session")
def lenet(repo: Path) -> list[str]:
    """A short run of the embedded net."""
    folder = repo / "models" / "lenet"
    net = ["--model", str(folder / "train_val.prototxt"), "--weights", str(folder / "lenet.caffemodel")]
    return [*net, "--iterations", "1"]


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[int, str, str]]:
    """A cache that ``info --compile`` has filled, and what it said."""
    cache = tmp_path_factory.mktemp("compiled")
    return cache, run(cache, "info", "--compile")


def test_it_tells_versions_tiers_threads_and_cache(tmp_path: Path) -> None:
    found = info(tmp_path)
    libraries = {name: version(name) for name in ("numpy", "numba", "onnxruntime")}
    python = ".".join(map(str, sys.version_info[:3]))
    assert found["versions"] == {"ristretto": __version__, "python": python, **libraries}
    assert found["threads"] == default_threads()
    assert [row["name"] for row in found["tiers"] if not row["lacks"]] == [tier.name for tier in runnable()]
    assert found["tier"] == runnable()[0].name
    assert found["tier_forced"] is False
    cache = found["cache"]
    assert Path(cache["folder"]).is_relative_to(tmp_path)
    assert cache["kernels"] > 0
    assert (cache["compiled"], cache["complete"], cache["files"], cache["bytes"]) == (0, False, 0, 0)


def test_the_page_names_the_tier_in_use_and_why(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "info")
    assert code == 0, err
    assert not err, "nothing is compiled only to look at it"
    assert f"ristretto {__version__}, python" in out
    assert f"tier: {runnable()[0].name}, the fastest that this machine runs" in out
    assert [line.split()[0] for line in out.splitlines() if line.rstrip().endswith("in use")] == [runnable()[0].name]
    assert "kernels: 0 of " in out
    assert str(tmp_path) in out.replace("\n", "")


def test_a_tier_can_be_forced(tmp_path: Path) -> None:
    found = info(tmp_path, RISTRETTO_TIER="portable")
    assert (found["tier"], found["tier_forced"]) == ("portable", True)
    assert "tier: portable, RISTRETTO_TIER asks for it" in run(tmp_path, "info", RISTRETTO_TIER="portable")[1]


@pytest.mark.parametrize("words", [["info"], ["--version"]])
def test_an_unknown_tier_is_one_line(tmp_path: Path, words: list[str]) -> None:
    code, _, err = run(tmp_path, *words, RISTRETTO_TIER="abacus")
    assert code == 1
    assert err.splitlines()[0] == "error: RISTRETTO_TIER=abacus: there is no such tier"
    assert err.splitlines()[1].startswith("hint: here run: ")
    assert len(err.splitlines()) == 2


def test_json_goes_to_a_file_too(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "info", "--json", tmp_path / "info.json")
    assert code == 0, err
    assert "tier:" in out
    assert json.loads((tmp_path / "info.json").read_text("utf-8"))["tier"] in out


def test_compiling_ahead_needs_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "ENTRIES", [])
    assert api.info().cache.folder is None
    with pytest.raises(RistrettoError, match="no folder") as caught:
        api.info(compile=True)
    assert "NUMBA_CACHE_DIR" in caught.value.hint


@pytest.mark.slow
def test_the_first_process_says_that_it_compiles_and_the_second_does_not(tmp_path: Path, lenet: list[str]) -> None:
    code, first, said = run(tmp_path, "test", *lenet)
    assert code == 0, said
    lines = said.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{COMPILING} {runnable()[0].name} (up to about ")
    assert lines[1].startswith(COMPILED)
    assert info(tmp_path)["cache"]["compiled"] > 0
    code, second, said = run(tmp_path, "test", *lenet)
    assert (code, second, said) == (0, first, "")


@pytest.mark.slow
def test_two_processes_compile_into_an_empty_cache_at_once(tmp_path: Path, lenet: list[str]) -> None:
    both = [start(tmp_path, "test", *lenet) for _ in range(2)]
    results = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], results
    assert results[0][0] == results[1][0]
    assert all(COMPILING in err for _, err in results)
    folder = Path(info(tmp_path)["cache"]["folder"])
    assert not [file for file in folder.iterdir() if file.suffix not in (".nbi", ".nbc")], "half-written files"
    assert run(tmp_path, "test", *lenet) == (0, results[0][0], "")


@pytest.mark.slow
def test_compile_fills_the_cache(compiled: tuple[Path, tuple[int, str, str]]) -> None:
    cache, (code, out, err) = compiled
    assert code == 0
    assert all(line.startswith(words) for line, words in zip(err.splitlines(), (COMPILING, COMPILED), strict=True))
    found = info(cache)["cache"]
    assert found["complete"]
    assert found["compiled"] == found["kernels"]
    assert f"kernels: {found['kernels']} of {found['kernels']} kernels are compiled" in out
    files = [file for file in Path(found["folder"]).iterdir() if file.suffix in (".nbi", ".nbc")]
    assert (found["files"], found["bytes"]) == (len(files), sum(file.stat().st_size for file in files))
    assert run(cache, "info", "--compile")[2] == "", "a second time there is nothing to do"


@pytest.mark.slow
def test_another_tier_has_kernels_of_its_own(compiled: tuple[Path, tuple[int, str, str]]) -> None:
    assert info(compiled[0], RISTRETTO_TIER="portable")["cache"]["compiled"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["dynamic_fixed_point", "minifloat", "integer_power_of_2_weights", "fixed_point"])
def test_what_was_compiled_ahead_is_all_that_commands_need(
    compiled: tuple[Path, tuple[int, str, str]], lenet: list[str], tmp_path: Path, mode: str
) -> None:
    cache, _ = compiled
    before = info(cache)["cache"]["files"]
    quantized = tmp_path / "quantized.prototxt"
    words = ["--model_quantized", quantized, "--trimming_mode", mode, "--error_margin", "50"]
    code, _, err = run(cache, "quantize", *lenet, *words)
    assert code == 0, err
    assert COMPILING not in err
    for options in (["--executor", "simulate"], ["--emulate", "fork-cpu"], ["--round_halves", "even"]):
        code, _, err = run(cache, "test", "--model", quantized, *lenet[2:], *options)
        assert (code, err) == (0, "")
    code, _, err = run(cache, "hardware", "--model", quantized, *lenet[2:], "--iterations", "1")
    assert (code, COMPILING in err) == (0, False), err
    assert info(cache)["cache"]["files"] == before
