"""Addresses of schedulers: one on the network, or one that is started here."""

from __future__ import annotations

import re
import socket

from ristretto.errors import ClusterError

NETWORK = re.compile(r"(?:tcp|tls)://(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/\[\]]+)):(?P<port>[1-9][0-9]{0,4})")
LOCAL = re.compile(r"local:([1-9][0-9]{0,2})")
REACHED = 10.0
"""Seconds within which a scheduler must answer."""


def check_scheduler(address: str) -> None:
    """Make sure, before long work, that there is a scheduler.

    Parameters
    ----------
    address : str
        ``tcp://host:port``, ``tls://host:port``, or ``local:N`` for N worker processes on this machine.

    Raises
    ------
    ClusterError
        When the address is none, distributed is not installed, or nobody listens there.
    """
    local_workers(address)
    try:
        import distributed  # noqa: F401 (that it can be imported is all that matters)
    except ImportError as error:
        raise ClusterError(
            f"--scheduler needs distributed, which cannot be imported: {error}",
            hint="install it by: pip install 'ristretto-cnn[cluster]'",
        ) from error
    if found := NETWORK.fullmatch(address):
        try:
            _knock(found["v6"] or found["host"], int(found["port"]), speaks_first=address.startswith("tcp:"))
        except OSError as error:
            raise unreachable(address, error) from error


def _knock(host: str, port: int, *, speaks_first: bool) -> None:
    """See whether a scheduler is there; distributed would try again and again, or wait for one that says nothing."""
    with socket.create_connection((host, port), timeout=REACHED) as call:
        if speaks_first and not call.recv(1):
            raise ConnectionError("who listens there is no scheduler")


def local_workers(address: str) -> int | None:
    """Give how many workers an address asks for on this machine; None where it names a scheduler on the network.

    Raises
    ------
    ClusterError
        When it is neither.
    """
    if found := LOCAL.fullmatch(address):
        return int(found[1])
    found = NETWORK.fullmatch(address)
    if not found or int(found["port"]) > 65535:
        raise ClusterError(
            f"'{address}' is no scheduler's address", hint="give tcp://host:port, or local:N for N processes here"
        )
    return None


def unreachable(address: str, error: Exception) -> ClusterError:
    """Give the error of a scheduler that does not answer."""
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return ClusterError(
        f"the scheduler at {address} cannot be reached: {reason}",
        hint="is it started there (dask scheduler), and does a firewall let its port through?",
    )
