"""What is told of hardware, on a terminal and as plain data."""

from __future__ import annotations

import pytest

from ristretto.formats import EMULATIONS, EXACT, HALF_EVEN, Arithmetic
from ristretto.hardware import needs, trace
from ristretto.report import hardware, terminal
from tests.hardware.chains import conv, net_of


@pytest.mark.parametrize(
    ("arithmetic", "where", "said"),
    [
        (EXACT, "away", "halves go away from zero"),
        (HALF_EVEN, "even", "halves go to the even code"),
        (EMULATIONS["fork-cpu"], "away", "halves go away from zero"),
        (EMULATIONS["fork-gpu"], "even", "halves go to the even code"),
    ],
)
def test_both_say_where_halves_go(arithmetic: Arithmetic, where: str, said: str) -> None:
    found = needs(trace(net_of(conv("one", "data")), {}, arithmetic))
    assert hardware.plain(found)["round_halves"] == where
    assert said in terminal.as_text(hardware.table(found))
