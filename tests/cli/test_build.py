"""``ristretto build`` as a user runs it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ristretto import api
from ristretto.api import info
from tests.jobs.project import LENET, Project

BUILT = ("ristretto.lock", "out/lenet.prototxt", "out/lenet.json")
SECOND = """
[[job]]
name = "narrow"
model_quantized = "out/narrow.prototxt"
quantize.bits = "4/4/8"
quantize.error_margin = 5
"""


@pytest.fixture(scope="module")
def built(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose one job is built; tests work on copies."""
    project = Project.of(repo, tmp_path_factory.mktemp("built"))
    done = project.run("build")
    assert done.code == 0, done.stderr
    assert "lenet: not made yet" in done.stderr
    assert "built" in done.stdout
    return project


@pytest.fixture
def project(built: Project, tmp_path: Path) -> Project:
    return built.copied(tmp_path)


def test_it_writes_what_quantize_writes(built: Project, tmp_path: Path) -> None:
    words = ["--model", f"{LENET}/train_val.prototxt", "--weights", f"{LENET}/lenet.caffemodel", "--preset", "original"]
    words += ["--bits", "8/8/8", "--iterations", "2", "--calibration_batches", "1", "--json", str(tmp_path / "r.json")]
    done = built.run("quantize", *words, "--model_quantized", tmp_path / "q.prototxt")
    assert done.code == 0, done.stderr
    assert (built / "out/lenet.prototxt").read_bytes() == (tmp_path / "q.prototxt").read_bytes()
    assert (built / "out/lenet.json").read_bytes() == (tmp_path / "r.json").read_bytes()


def test_the_lock_holds_digests_options_and_scores_and_nothing_of_the_machine(built: Project) -> None:
    entry = built.lock["jobs"]["lenet"]
    data = json.loads((built / "out/lenet.json").read_text())
    for path, digest in entry["outputs"].items():
        assert hashlib.sha256((built / path).read_bytes()).hexdigest() == digest
    assert set(entry["outputs"]) == {"out/lenet.prototxt", "out/lenet.json"}
    assert entry["inputs"]["weights"] == hashlib.sha256((built / LENET / "lenet.caffemodel").read_bytes()).hexdigest()
    assert set(entry["inputs"]) == {"model", "weights", "scoring data", "calibration data"}
    assert entry["options"] == {"preset": "original", "bits": "8/8/8", "iterations": 2, "calibration_batches": 1}
    assert (entry["scores"]["score"], entry["scores"]["baseline"]) == (data["score"], data["baseline_score"])
    assert str(built.folder) not in (built / "ristretto.lock").read_text()


def test_what_is_up_to_date_is_left_alone(project: Project) -> None:
    before = project.files()
    for path in project.folder.rglob("*"):
        if path.is_file() and path.name != "lock.mdb":
            os.utime(path, (1, 1))
    job = project.build()
    assert (job["state"], job["reasons"]) == ("fresh", [])
    assert job["scores"] == project.lock["jobs"]["lenet"]["scores"]
    assert project.files() == before
    assert (project / "out/lenet.prototxt").stat().st_mtime == 1


def other_weights(project: Project) -> None:
    path = project / LENET / "lenet.caffemodel"
    content = bytearray(path.read_bytes())
    # In the middle lie the weights of ip1: a hundred of them get another sign, and are halved or doubled.
    for place in range(len(content) // 2, len(content) // 2 + 400):
        content[place] ^= 0x80
    path.write_bytes(content)


def other_pictures(name: str) -> Callable[[Project], None]:
    def change(project: Project) -> None:
        """Put the other phase's pictures in place."""
        others = {"train": "test", "test": "train"}
        shutil.rmtree(project / LENET / f"digits_{name}_lmdb")
        shutil.copytree(project / LENET / f"digits_{others[name]}_lmdb", project / LENET / f"digits_{name}_lmdb")

    return change


CHANGES: dict[str, tuple[Callable[[Project], None], str]] = {
    "a comment in the prototxt": (
        lambda project: project.edit(f"{LENET}/train_val.prototxt", "# LeNet", "# A LeNet"),
        "model changed",
    ),
    "weights": (other_weights, "weights changed"),
    "scoring data": (other_pictures("test"), "scoring data changed"),
    "calibration data": (other_pictures("train"), "calibration data changed"),
    "an option": (
        lambda project: project.replace('bits = "8/8/8"', 'bits = "4/8/8"'),
        "option bits changed from 8/8/8 to 4/8/8",
    ),
    "a new option": (
        lambda project: project.write(f"{project.toml}quantize.error_margin = 1.5\n"),
        "option error_margin is new: 1.5",
    ),
    "an option less": (
        lambda project: project.replace('preset = "original"\n', ""),
        "option preset is gone, which was original",
    ),
    "a missing output": (lambda project: (project / "out/lenet.json").unlink(), "output out/lenet.json is missing"),
    "an output edited by hand": (
        lambda project: project.edit("out/lenet.prototxt", "fl_params: 7", "fl_params: 6"),
        "output out/lenet.prototxt changed",
    ),
    "a new output": (
        lambda project: project.write(f'{project.toml}weights_quantized = "out/lenet.caffemodel"\n'),
        "output out/lenet.caffemodel is new",
    ),
    "an output less": (
        lambda project: project.replace('json = "out/lenet.json"\n', ""),
        "output out/lenet.json is no longer asked for",
    ),
    "an export": (
        lambda project: project.write(f'{project.toml}export = [{{format = "onnx-float", out = "out/n.onnx"}}]\n'),
        "exports changed",
    ),
    "another ristretto": (
        lambda project: project.edit("ristretto.lock", '"version": "', '"version": "0.0.1+'),
        "ristretto changed from 0.0.1+",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_kind_of_change_makes_a_job_stale_and_is_named(project: Project, change: str) -> None:
    make, reason = CHANGES[change]
    make(project)
    reasons = project.reasons()
    assert len(reasons) == 1 + (change == "an export"), reasons
    assert reasons[0].startswith(reason)


@pytest.mark.parametrize("change", ["an option", "an export", "an output edited by hand"])
def test_a_stale_job_is_made_anew_and_is_up_to_date_then(project: Project, change: str) -> None:
    CHANGES[change][0](project)
    job = project.build()
    assert (job["state"], job["error"]) == ("built", None)
    assert project.reasons() == []
    assert all((project / path).is_file() for path in job["outputs"])


@pytest.mark.parametrize(
    "change",
    [
        lambda project: project.write(f"{project.toml}quantize.threads = 1\nquantize.no_cache = true\n"),
        lambda project: project.write(f"# Another comment\n{project.toml}"),
        lambda project: project.write(f"{project.toml}minimum_accuracy = 0.5\n"),
    ],
)
def test_what_changes_no_result_makes_nothing_stale(project: Project, change: Callable[[Project], None]) -> None:
    change(project)
    assert project.reasons() == []


def test_a_dry_run_writes_nothing_and_exits_with_4_where_something_is_stale(project: Project) -> None:
    assert project.run("build", "--dry_run").code == 0
    project.replace('bits = "8/8/8"', 'bits = "4/8/8"')
    before = project.files()
    done = project.run("build", "--dry_run")
    assert done.code == 4
    assert "option bits changed" in done.stdout
    assert project.files() == before


def test_force_makes_what_is_up_to_date_and_gives_the_same_bytes(project: Project) -> None:
    before = project.files()
    job = project.build("--force")
    assert (job["state"], job["reasons"]) == ("built", ["asked for with --force"])
    assert project.files() == before


@pytest.mark.parametrize("words", [["build", "--force"], ["check"]])
def test_flags_on_speed_come_before_the_jobs_own_options(
    project: Project, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(f"{project.toml}quantize.threads = 1\n")
    given = []

    def quantize(*files: str, **keywords: Any) -> api.Quantized:
        given.append({name: keywords[name] for name in ("threads", "cached", "scheduler")})
        return real(*files, **{**keywords, "scheduler": None})

    real = api.quantize
    monkeypatch.setattr(api, "quantize", quantize)
    assert project.run(*words).code == 0
    assert project.run(*words, "--threads", 3, "--no_cache", "--scheduler", "local:2").code == 0
    assert given == [
        {"threads": 1, "cached": True, "scheduler": None},
        {"threads": 3, "cached": False, "scheduler": "local:2"},
    ]


def test_it_runs_from_any_folder_with_the_same_bytes(project: Project, built: Project, tmp_path: Path) -> None:
    for name in BUILT:
        (project / name).unlink()
    elsewhere = Project(tmp_path / "elsewhere")
    elsewhere.folder.mkdir()
    done = elsewhere.run("build", "--file", project / "ristretto.toml", "--json", "here.json")
    assert done.code == 0, done.stderr
    assert set(elsewhere.files()) == {"here.json"}
    for name in BUILT:
        assert (project / name).read_bytes() == (built / name).read_bytes()


def test_a_job_that_fails_does_not_stop_the_others(project: Project) -> None:
    failing = SECOND.replace("narrow", "broken").replace('quantize.bits = "4/4/8"', 'weights = "nowhere.caffemodel"')
    project.write(project.toml + failing + SECOND)
    done = project.run("build", "--json", "-")
    assert done.code == 1
    jobs = {job["name"]: job for job in json.loads(done.stdout)["jobs"]}
    assert {name: job["state"] for name, job in jobs.items()} == {
        "lenet": "fresh",
        "broken": "failed",
        "narrow": "built",
    }
    assert "nowhere.caffemodel" in jobs["broken"]["error"]
    assert set(project.lock["jobs"]) == {"lenet", "narrow"}
    assert not (project / "out/broken.prototxt").exists()
    assert not list(project.folder.rglob("*.part"))
    assert "Traceback" not in done.stderr


def test_missing_data_is_one_clear_line(project: Project) -> None:
    shutil.rmtree(project / LENET / "digits_train_lmdb")
    done = project.run("build")
    assert done.code == 1
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert error.startswith("error: lenet: TRAIN data: layer 'digits': models/lenet/digits_train_lmdb does not exist")


def test_jobs_are_built_by_name_and_a_removed_one_leaves_the_lock(project: Project) -> None:
    project.write(project.toml + SECOND)
    assert project.build("--job", "narrow")["state"] == "built"
    assert set(project.lock["jobs"]) == {"lenet", "narrow"}
    project.write(project.toml.replace('name = "lenet"', 'name = "other"'))
    assert project.run("build").code == 0
    assert set(project.lock["jobs"]) == {"other", "narrow"}
    done = project.run("build", "--job", "narow")
    assert (done.code, "did you mean 'narrow'?" in done.stderr) == (1, True)


def test_a_missed_limit_or_margin_exits_with_3_also_where_nothing_is_stale(project: Project) -> None:
    project.write(f"{project.toml}minimum_accuracy = 0.999\n")
    for state in ("fresh", "fresh"):
        done = project.run("build", "--json", "-")
        assert done.code == 3
        (job,) = json.loads(done.stdout)["jobs"]
        assert job["state"] == state
        assert job["missed"] == [f"accuracy {job['scores']['score']:g} is below the limit 0.999"]
    project.replace('bits = "8/8/8"', 'bits = "1/8/8"')
    job = project.build()
    assert (job["state"], len(job["missed"])) == ("built", 2)
    assert job["missed"][0] == "the error margin is missed"


def test_a_limit_for_another_kind_of_score_is_refused(project: Project) -> None:
    project.write(f"{project.toml}max_loss = 0.5\n")
    done = project.run("build")
    assert done.code == 1
    assert "max_loss does not fit: the score 'accuracy' is an accuracy" in done.stderr
    assert "set minimum_accuracy instead" in done.stderr


@pytest.mark.slow
def test_all_outputs_and_exports_are_what_the_commands_write(project: Project, tmp_path: Path) -> None:
    project.write(
        f"""{project.toml}
        weights_quantized = "out/lenet.caffemodel"
        report = "out/lenet.html"
        [job.quantize]
        preset = "accurate"
        bits = "4/4/8"
        refine = ["bias"]
        [[job.export]]
        format = "onnx-float"
        out = "out/lenet.onnx"
        """.replace("  ", "")
    )
    done = project.run("build")
    assert done.code in (0, 3), done.stderr
    words = ["--model", "out/lenet.prototxt", "--weights", "out/lenet.caffemodel", "--format", "onnx-float"]
    assert project.run("export", *words, tmp_path / "net.onnx").code == 0
    assert (project / "out/lenet.onnx").read_bytes() == (tmp_path / "net.onnx").read_bytes()
    assert project.run("report", "out/lenet.json", "-o", tmp_path / "page.html").code == 0
    assert (project / "out/lenet.html").read_bytes() == (tmp_path / "page.html").read_bytes()
    assert (project / "out/lenet.caffemodel").read_bytes() != (project / LENET / "lenet.caffemodel").read_bytes()


def test_a_folder_of_an_export_keeps_no_file_that_is_no_longer_made(project: Project) -> None:
    project.write(
        f"""{project.toml}
[[job.export]]
format = "integers"
out = "out/words"
golden = 2
"""
    )
    assert project.build()["state"] == "built"
    assert (project / "out/words/golden.npz").is_file()
    (project / "out/words/notes.txt").write_text("of a user")
    project.replace("golden = 2", "round_halves = 'even'")
    job = project.build()
    assert (job["reasons"], job["state"]) == (["exports changed"], "built")
    left = {path.name for path in (project / "out/words").iterdir()}
    assert {f"out/words/{name}" for name in left - {"notes.txt"}} <= set(job["outputs"])
    assert "notes.txt" in left
    assert "golden.npz" not in left
    assert project.reasons() == []


def test_an_export_goes_into_no_folder_with_files_of_others(project: Project) -> None:
    project.write(f'{project.toml}\n[[job.export]]\nformat = "integers"\nout = "mine"\n')
    (project / "mine").mkdir()
    (project / "mine/weights.npz").write_bytes(b"of a user")
    before = project.files()
    done = project.run("build")
    assert done.code == 1
    assert "lenet: mine is not empty, and holds no earlier export" in done.stderr
    assert project.files() == before
    (project / "mine/weights.npz").unlink()
    assert project.build()["state"] == "built"
    # A checkout may lack some of what the lock lists.
    (project / "mine/manifest.json").unlink()
    assert project.build()["state"] == "built"
    assert project.reasons() == []


def test_a_file_that_is_no_longer_asked_for_is_left_to_the_user(project: Project) -> None:
    CHANGES["an output less"][0](project)
    assert project.build()["state"] == "built"
    assert set(project.lock["jobs"]["lenet"]["outputs"]) == {"out/lenet.prototxt"}
    assert (project / "out/lenet.json").is_file()


@pytest.mark.shared
@pytest.mark.slow
def test_a_real_net_is_built_checked_and_found_to_be_fresh(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "models" / "cifar10_full"
    (weights,) = folder.glob("*.caffemodel")
    project = Project(tmp_path)
    project.write(
        f"""[[job]]
name = "cifar"
model = "{folder / "train_val.prototxt"}"
weights = "{weights}"
model_quantized = "cifar.prototxt"
report = "cifar.html"
minimum_accuracy = 0.7
quantize = {{preset = "original", bits = "8/4/8", iterations = 4, calibration_batches = 2}}
"""
    )
    assert project.build()["state"] == "built"
    assert project.build()["state"] == "fresh"
    assert str(shared) not in (project / "ristretto.lock").read_text()
    assert project.run("check").code == 0
    project.edit("cifar.prototxt", "fl_params: ", "fl_params: 1")
    done = project.run("check")
    assert (done.code, "the net differs" in done.stdout) == (4, True)


@pytest.mark.slow
def test_a_front_is_a_folder_of_outputs(project: Project) -> None:
    project.write(
        f"""{project.toml.replace('bits = "8/8/8"', "")}
pareto = "out/front"
data = "{LENET}/digits_test_lmdb"
calibration_data = "{LENET}/digits_train_lmdb"
[job.quantize]
batch_size = 20
preset = "accurate"
granularity = "layer"
min_bits = 6
max_bits = 8
error_margin = 3
"""
    )
    job = project.build()
    assert job["state"] == "built", job["error"]
    listed = {path for path in job["outputs"] if path.startswith("out/front/")}
    assert {"out/front/front.json", "out/front/front.svg", "out/front/net_01.prototxt"} <= listed
    assert {f"out/front/{path.name}" for path in (project / "out/front").iterdir()} == listed
    assert project.run("check").code == 0
    project.edit("out/front/net_01.prototxt", "bw_params: ", "bw_params: 1")
    done = project.run("check")
    assert done.code == 4
    assert "out/front/net_01.prototxt: the net differs" in done.stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "ristretto.lock is damaged"), ('{"format": 9}', "ristretto.lock was written by a newer ristretto")],
)
@pytest.mark.parametrize("command", ["build", "check"])
def test_a_lock_that_cannot_be_read_stops_everything(
    project: Project, command: str, content: str, message: str
) -> None:
    (project / "ristretto.lock").write_text(content)
    before = project.files()
    done = project.run(command, "--json", "r.json")
    assert done.code == 1
    assert done.stderr.startswith(f"error: {message}")
    assert project.files() == before


@pytest.mark.slow
def test_any_number_of_threads_and_any_tier_give_the_same_bytes(built: Project, tmp_path: Path) -> None:
    wanted = {name: content for name, content in built.files().items() if name.startswith(("out/", "ristretto.lock"))}
    here = info()
    others = [row.name for row in here.tiers if row.runs and row.name != here.tier]
    assert others, "the portable tier runs everywhere"
    for number, (threads, tier) in enumerate([(1, here.tier), (2, here.tier), (2, others[0])]):
        project = built.copied(tmp_path / str(number))
        process = project.start("build", "--force", "--threads", threads, RISTRETTO_TIER=tier)
        _, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
        assert {name: project.files()[name] for name in wanted} == wanted


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_build_that_is_stopped_keeps_what_is_finished_and_goes_on(
    project: Project, built: Project, stop: signal.Signals
) -> None:
    for name in BUILT:
        (project / name).unlink()
    endless = SECOND.replace('quantize.bits = "4/4/8"', "quantize.iterations = 20000")
    project.write(project.toml + endless)
    process = project.start("build")
    try:
        deadline = time.monotonic() + 120
        # The second job's output is reserved when the first one is finished and it is at work itself.
        while not list(project.folder.rglob(".narrow.prototxt.*.part")) and time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        time.sleep(0.5)
        process.send_signal(stop)
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    if stop == signal.SIGINT:
        assert process.returncode == 130
        assert "interrupted; jobs that were finished before: lenet" in stderr
        assert not list(project.folder.rglob("*.part"))
    assert "Traceback" not in stderr
    assert not (project / "out/narrow.prototxt").exists()
    assert (project / "ristretto.lock").read_bytes() == (built / "ristretto.lock").read_bytes()
    project.replace("quantize.iterations = 20000", 'quantize.bits = "4/4/8"')
    done = project.run("build", "--json", "-")
    assert done.code == 0, done.stderr
    assert {job["name"]: job["state"] for job in json.loads(done.stdout)["jobs"]} == {
        "lenet": "fresh",
        "narrow": "built",
    }


def test_a_process_of_its_own_says_what_it_does(project: Project) -> None:
    command = [sys.executable, "-m", "ristretto", "build"]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    assert done.stderr.strip() == "lenet: up to date"
    assert done.stdout.split()[:5] == ["job", "state", "score", "float", "remarks"]
