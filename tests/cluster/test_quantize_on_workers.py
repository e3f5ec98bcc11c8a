"""``quantize --scheduler``: the bytes of a run on one machine, and one line where it cannot start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from ristretto.cli.main import main


@pytest.fixture
def words(repo: Path) -> list[str]:
    folder = repo / "models" / "lenet"
    net = ["--model", str(folder / "train_val.prototxt"), "--weights", str(folder / "lenet.caffemodel")]
    return ["quantize", *net, "--iterations", "20", "--error_margin", "1"]


def outputs(folder: Path) -> list[str]:
    folder.mkdir(exist_ok=True)
    return ["--model_quantized", str(folder / "q.prototxt"), "--json", str(folder / "q.json")]


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def started(words: Sequence[str], **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ristretto", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A group of its own: Ctrl-C goes to all processes of a terminal's job.
        start_new_session=True,
        env={**os.environ, **environment},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def group(process: subprocess.Popen[str]) -> list[int]:
    """Give the processes of a job but the first; those that are only waiting to be buried do not count."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            _, _, rest = entry.joinpath("stat").read_text("utf-8").rpartition(")")
        except OSError:
            continue
        state, _, job = rest.split()[:3]
        if int(job) == process.pid != int(entry.name) and state != "Z":
            found.append(int(entry.name))
    return found


def workers(process: subprocess.Popen[str]) -> list[int]:
    """Give those that score nets."""
    found = []
    for number in group(process):
        try:
            command = Path(f"/proc/{number}/cmdline").read_text("utf-8")
        except OSError:
            continue
        if "spawn_main" in command:
            found.append(number)
    return sorted(found)


def all_gone(process: subprocess.Popen[str]) -> bool:
    """Whether a job that has ended leaves nothing; Python's tracker of shared resources ends just after it."""
    deadline = time.monotonic() + 5
    while group(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not group(process)


def wait_for(process: subprocess.Popen[str], journal: Path, count: int) -> None:
    """Wait until so many trials are finished."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        kept = [path for path in journal.rglob("*") if path.is_file() and b"bits seen" in path.read_bytes()[:4096]]
        if len(kept) >= count:
            break
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()


@pytest.mark.slow
def test_a_worker_is_killed_and_the_bytes_are_those_of_one_machine(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there, journal = tmp_path / "here", tmp_path / "there", tmp_path / "journal"
    assert main([*words, *outputs(here)]) == 0
    process = started([*words, *outputs(there), "--scheduler", "local:2"], RISTRETTO_CACHE_DIR=str(journal))
    wait_for(process, journal, 2)
    first, _ = workers(process)
    os.kill(first, signal.SIGKILL)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    # Nothing of what dask says of its workers.
    assert [line for line in errors.splitlines() if not line.startswith(("note: ", "compiling", "wrote "))] == []
    assert written(there) == written(here)
    assert all_gone(process)

    # What workers found is in the journal: it is not asked for again, so none is started.
    again = tmp_path / "again"
    monkeypatch.setenv("RISTRETTO_CACHE_DIR", str(journal))
    monkeypatch.setattr("ristretto.cluster.marker.connected", None)
    assert main([*words, *outputs(again), "--scheduler", "local:2"]) == 0
    assert written(again) == written(here)


@pytest.mark.slow
def test_an_interruption_stops_all_processes_and_keeps_what_is_finished(words: list[str], tmp_path: Path) -> None:
    folder, journal = tmp_path / "out", tmp_path / "journal"
    process = started([*words, *outputs(folder), "--scheduler", "local:2"], RISTRETTO_CACHE_DIR=str(journal))
    wait_for(process, journal, 1)
    assert len(workers(process)) == 2
    os.killpg(process.pid, signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    last = errors.splitlines()[-1]
    assert last.startswith("interrupted; nothing was written; finished trials are kept")
    assert [line for line in errors.splitlines()[:-1] if not line.startswith(("note: ", "compiling"))] == []
    assert out == "" and written(folder) == {}
    assert all_gone(process)


def refused(words: list[str], capsys: pytest.CaptureFixture[str], folder: Path, address: str) -> list[str]:
    begun = time.monotonic()
    assert main([*words, *outputs(folder), "--scheduler", address]) == 1
    assert time.monotonic() - begun < 20
    assert written(folder) == {}
    return capsys.readouterr().err.splitlines()


def test_a_scheduler_that_does_not_answer(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert refused(words, capsys, tmp_path / "out", f"tcp://127.0.0.1:{port}") == [
        f"error: the scheduler at tcp://127.0.0.1:{port} cannot be reached: Connection refused",
        "hint: is it started there (dask scheduler), and does a firewall let its port through?",
    ]


def test_a_server_of_another_kind(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes calls and says nothing."""
    monkeypatch.setattr("ristretto.cluster.address.REACHED", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        error, hint = refused(words, capsys, tmp_path / "out", address)
    assert error.startswith(f"error: the scheduler at {address} cannot be reached: ")
    assert hint.startswith("hint: is it started there")


def test_without_distributed_an_error_names_the_extra(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    error, hint = refused(words, capsys, tmp_path / "out", "local:2")
    assert error.startswith("error: --scheduler needs distributed, which cannot be imported: ")
    assert hint == "hint: install it by: pip install 'ristretto-cnn[cluster]'"


NO_ADDRESSES = (
    *("", "local", "local:", "local:0", "local:-1", "local:2x", "host:8786", "tcp://host", "tcp://host:0"),
    *("tcp://host:65536", "tcp://:8786", "http://host:8786", "tcp://a b:1", "tcp://host:8786/x", "tcp://::1:8786"),
)


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_what_is_no_address(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str) -> None:
    assert refused(words, capsys, tmp_path / "out", address) == [
        f"error: '{address}' is no scheduler's address",
        "hint: give tcp://host:port, or local:N for N processes here",
    ]
