"""``ristretto check`` as a user runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.cli.test_build import other_weights
from tests.jobs.project import LENET, LENET_JOB, Project

WEIGHTS = 'weights_quantized = "out/lenet.caffemodel"\n'


@pytest.fixture(scope="module")
def built(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project.of(repo, tmp_path_factory.mktemp("built"), LENET_JOB + WEIGHTS)
    done = project.run("build")
    assert done.code == 0, done.stderr
    return project


@pytest.fixture
def project(built: Project, tmp_path: Path) -> Project:
    return built.copied(tmp_path)


def checked(project: Project, *words: object) -> tuple[int, dict[str, Any]]:
    """Check, and give the exit code and the one job's plain data."""
    done = project.run("check", "--json", "-", *words)
    (job,) = json.loads(done.stdout)["jobs"]
    return done.code, job


def wrong(job: dict[str, Any]) -> dict[str, str]:
    return {output["path"]: output["differs"] for output in job["outputs"] if output["differs"]}


def set_score(project: Project, score: float) -> None:
    """Let the lock say that the net once scored something else."""
    project.edit("ristretto.lock", f'"score": {project.lock["jobs"]["lenet"]["scores"]["score"]}', f'"score": {score}')


def test_what_is_as_it_was_exits_with_0_and_writes_nothing(project: Project) -> None:
    before = project.files()
    code, job = checked(project)
    assert (code, job["holds"], wrong(job), job["worse"], job["notes"]) == (0, True, {}, [], [])
    assert job["scores"] == job["scores_before"] == project.lock["jobs"]["lenet"]["scores"]
    assert project.files() == before


def test_a_format_changed_by_hand_is_named_and_exits_with_4(project: Project) -> None:
    text = (project / "out/lenet.prototxt").read_text()
    found = re.search(r'name: "conv2".*?bw_params: (\d+).*?fl_params: (\d+)', text, re.DOTALL)
    assert found
    bw, fl = map(int, found.groups())
    start, end = found.span(2)
    (project / "out/lenet.prototxt").write_text(f"{text[:start]}{fl - 1}{text[end:]}")
    before = project.files()
    code, job = checked(project)
    assert (code, job["holds"]) == (4, False)
    assert wrong(job) == {"out/lenet.prototxt": "the net differs"}
    difference = job["outputs"][0]["difference"]
    assert difference["formats"] == [
        {"layer": "conv2", "what": "params", "before": f"{bw}.{fl - 1}", "after": f"{bw}.{fl}"}
    ]
    assert (difference["settings"], difference["only_first"], difference["reordered"]) == ([], [], False)
    done = project.run("check")
    assert f"lenet: out/lenet.prototxt: conv2 params {bw}.{fl - 1} -> {bw}.{fl}" in done.stdout
    assert project.files() == before


def test_text_that_differs_alone_is_said_to(project: Project) -> None:
    project.edit("out/lenet.prototxt", "# LeNet", "# My LeNet")
    code, job = checked(project)
    assert code == 4
    assert wrong(job) == {"out/lenet.prototxt": "only its text differs, not the net"}


def test_a_prototxt_that_is_none_any_more_is_a_difference(project: Project) -> None:
    (project / "out/lenet.prototxt").write_text("layer {")
    code, job = checked(project)
    assert code == 4
    assert wrong(job)["out/lenet.prototxt"].startswith("it cannot be read: out/lenet.prototxt:1:")


def test_other_files_are_compared_too(project: Project) -> None:
    project.edit("out/lenet.json", '"error_margin": 2.0', '"error_margin": 3.0')
    weights = bytearray((project / "out/lenet.caffemodel").read_bytes())
    weights[1000] ^= 1
    (project / "out/lenet.caffemodel").write_bytes(weights)
    code, job = checked(project)
    assert code == 4
    found = wrong(job)
    assert re.fullmatch(
        r'it differs from line \d+ on: "error_margin": 3.0, -> "error_margin": 2.0,', found.pop("out/lenet.json")
    )
    assert found.pop("out/lenet.caffemodel").startswith("it differs from byte 1000 on")
    assert not found


def test_an_output_that_is_not_under_version_control_is_compared_by_the_lock(project: Project) -> None:
    (project / "out/lenet.caffemodel").unlink()
    code, job = checked(project)
    assert (code, wrong(job)) == (0, {})
    (output,) = [output for output in job["outputs"] if output["path"] == "out/lenet.caffemodel"]
    assert output["note"] == "it is not there; what was made is what the lock has"
    other_weights(project)
    code, job = checked(project)
    assert code == 4
    assert "what was made is not what the lock has" in wrong(job)["out/lenet.caffemodel"]
    assert job["notes"] == ["the lock is out of date: weights changed"]


def test_a_missing_prototxt_is_a_difference_though_the_lock_knows_it(project: Project) -> None:
    (project / "out/lenet.prototxt").unlink()
    code, job = checked(project)
    assert (code, wrong(job)) == (4, {"out/lenet.prototxt": "it is missing"})


def test_a_job_without_an_entry_in_the_lock_is_a_difference(project: Project) -> None:
    (project / "ristretto.lock").unlink()
    code, job = checked(project)
    assert (code, job["scores_before"], wrong(job)) == (4, None, {})
    assert job["worse"] == ["the lock has no entry for this job: build it, and commit the lock"]


@pytest.mark.parametrize(
    ("lost", "tolerance", "code"),
    [(0.01, 0, 4), (0.01, 0.9, 4), (0.01, 1, 0), (-0.01, 0, 0), (1e-12, 0, 4), (0, 0, 0)],
)
def test_an_accuracy_that_fell_by_more_than_is_tolerated(
    project: Project, lost: float, tolerance: float, code: int
) -> None:
    now = project.lock["jobs"]["lenet"]["scores"]["score"]
    set_score(project, round(now + lost, 13))
    found, job = checked(project, "--tolerance", tolerance)
    assert found == code
    assert [line.split()[:2] for line in job["worse"]] == ([["accuracy", "fell"]] if code else [])


def test_an_input_that_changed_is_told_by_what_it_does(project: Project) -> None:
    # Ten times the first layer's bias: other formats and another score.
    project.edit(f"{LENET}/train_val.prototxt", "scale: 0.00390625", "scale: 0.0390625")
    code, job = checked(project)
    assert code == 4
    assert "the lock is out of date: model changed" in job["notes"]
    assert "the lock is out of date: calibration data changed" in job["notes"]
    changed = {change["what"] for change in job["outputs"][0]["difference"]["formats"]}
    assert changed <= {"layer_in", "layer_out", "params"}
    assert "layer_out" in changed


def test_a_limit_that_is_missed_exits_with_4(project: Project) -> None:
    project.write(f"{project.toml}minimum_accuracy = 0.999\n")
    code, job = checked(project)
    assert code == 4
    assert "below the limit 0.999" in job["worse"][0]


def test_a_job_that_cannot_be_made_exits_with_1_and_the_others_are_checked(project: Project) -> None:
    broken = LENET_JOB.replace("lenet", "broken") + 'model = "nowhere.prototxt"\n'
    project.write(project.toml + broken)
    done = project.run("check", "--json", "-", "--junit", "j.xml")
    assert done.code == 1
    jobs = {job["name"]: job for job in json.loads(done.stdout)["jobs"]}
    assert jobs["lenet"]["holds"] is True
    assert "nowhere.prototxt" in jobs["broken"]["error"]
    root = ElementTree.parse(project / "j.xml").getroot()
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("5", "0", "1")
    assert "nowhere.prototxt" in str(root.find(".//error").get("message"))  # type: ignore[union-attr]


def test_junit_has_a_case_for_each_output_and_the_score(project: Project) -> None:
    project.edit("out/lenet.prototxt", "fl_params: 7", "fl_params: 5")
    set_score(project, 1.0)
    assert project.run("check", "--junit", "j.xml").code == 4
    root = ElementTree.parse(project / "j.xml").getroot()
    assert root.tag == "testsuites"
    (suite,) = root
    assert (suite.tag, suite.get("name")) == ("testsuite", "lenet")
    for element in (root, suite):
        assert [element.get(count) for count in ("tests", "failures", "errors")] == ["4", "2", "0"]
    cases = {case.get("name"): case for case in suite}
    assert set(cases) == {"out/lenet.prototxt", "out/lenet.caffemodel", "out/lenet.json", "score"}
    assert {case.tag for case in suite} == {"testcase"}
    assert {case.get("classname") for case in suite} == {"ristretto check.lenet"}
    failures = {name: case.find("failure") for name, case in cases.items()}
    assert {name for name, failure in failures.items() if failure is not None} == {"out/lenet.prototxt", "score"}
    text = str(failures["out/lenet.prototxt"].text)  # type: ignore[union-attr]
    assert re.search(r"params 8\.5 -> 8\.7", text)


def test_markdown_has_the_scores_and_the_changed_formats(project: Project) -> None:
    project.edit("out/lenet.prototxt", "fl_params: 7", "fl_params: 5")
    assert project.run("check", "--markdown", "c.md").code == 4
    text = (project / "c.md").read_text()
    score = f"{project.lock['jobs']['lenet']['scores']['score']:.4f}"
    assert text.startswith("<!-- ristretto check -->\n")
    in_float = json.loads((project / "out/lenet.json").read_text())["baseline_score"]
    assert f"| lenet | DIFFERENT | {score} | {score} | {in_float:.4f} |" in text
    (changed,) = re.findall(r"(?m)^\| (\w+) \| params \| 8\.5 \| 8\.7 \|$", text)
    assert changed in ("conv1", "conv2", "ip1", "ip2")
    assert project.run("check", "--markdown", "again.md").code == 4
    assert (project / "again.md").read_text() == text


def test_results_are_written_over_nothing_that_jobs_read_or_write(project: Project) -> None:
    before = project.files()
    for name in ("ristretto.toml", "ristretto.lock", "out/lenet.prototxt", f"{LENET}/lenet.caffemodel"):
        done = project.run("check", "--junit", name)
        assert done.code == 1
        assert "is an input and would be overwritten" in done.stderr
    assert project.files() == before
