"""Connections: to a scheduler on the network, or to one that is started for the time of a search."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from tempfile import TemporaryDirectory
from typing import Any

from ristretto.cluster.address import REACHED, local_workers, unreachable
from ristretto.cluster.program import difference, program
from ristretto.errors import ClusterError

PATIENCE = 60.0
"""Seconds that are waited for a worker where there is none."""


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Give distributed's client of a scheduler that has workers which run this very program.

    Parameters
    ----------
    address : str
        See `check_scheduler`.

    Raises
    ------
    ClusterError
        When the scheduler cannot be reached, has no workers, or one of them runs another program.
    """
    from distributed import Client

    count = local_workers(address)
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        scheduler = address if count is None else stack.enter_context(_local_cluster(count))
        try:
            client = stack.enter_context(Client(scheduler, timeout=REACHED, set_as_default=False))
        except (OSError, ValueError) as error:
            raise unreachable(address, error) from error
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError as error:
            raise no_workers(address) from error
        _check_workers(client)
        yield client


def no_workers(address: str) -> ClusterError:
    """Give the error of a scheduler whom nobody works for."""
    return ClusterError(
        f"the scheduler at {address} has had no worker for {PATIENCE:g} s", hint=f"start one by: dask worker {address}"
    )


def _check_workers(client: Any) -> None:
    found = client.run(program, on_error="return")
    for worker, answer in sorted(found.items()):
        if isinstance(answer, Exception):
            raise ClusterError(
                f"the worker at {worker} cannot load this version of ristretto: {answer}",
                hint="install on every machine what is installed here",
            )
        if differs := difference(answer):
            raise ClusterError(
                f"the worker at {worker} has {differs}", hint="install on every machine what is installed here"
            )


@contextmanager
def _local_cluster(count: int) -> Iterator[Any]:
    """Start worker processes that listen to this machine only."""
    from distributed import LocalCluster

    class Workers(LocalCluster):  # type: ignore[misc]  # distributed has no types
        """Bears the loss of a worker that died before this process had heard of it; at the end it would be missed."""

        def _update_worker_status(self, op: str, msg: Any) -> None:
            if op != "remove" or msg in self.scheduler_info["workers"]:
                super()._update_worker_status(op, msg)

    with ExitStack() as stack:
        scratch = stack.enter_context(TemporaryDirectory(prefix="ristretto-"))
        # Python's tracker of shared resources starts with the first process, and lets interruptions in again.
        resource_tracker.ensure_running()
        with _interruption_put_off(), _told(count):
            cluster = stack.enter_context(
                Workers(
                    n_workers=count,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    # There is no way to be without this port; at least it is a free one.
                    scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                    memory_limit=0,
                    silence_logs=logging.CRITICAL,
                    local_directory=scratch,
                )
            )
        yield cluster


@contextmanager
def _told(count: int) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = error.__cause__ or error
        raise ClusterError(f"{count} worker processes cannot be started here: {reason}") from error


@contextmanager
def _interruption_put_off() -> Iterator[None]:
    """Raise a KeyboardInterrupt at the end, not within; threads and processes that are started within never do.

    Ctrl-C goes to all processes of a terminal's job. Workers would each print where they were, while this process still
    needs them to be stopped in order.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    # What is blocked stays blocked in all that a thread starts.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGINT, handler)
    if came:
        raise KeyboardInterrupt


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep distributed from logging: what matters to the user is said by errors."""
    # Some of its loggers have levels of their own.
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "distributed"]
    levels = {logger: logger.level for logger in map(logging.getLogger, names)}
    for logger in levels:
        logger.setLevel(logging.CRITICAL)
    yield
    # Not after an error: a client that has lost its scheduler complains until Python ends.
    for logger, level in levels.items():
        logger.setLevel(level)
