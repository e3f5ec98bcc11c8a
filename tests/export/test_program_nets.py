"""Programs of random nets: what they give, bit for bit."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.export.program_nets import coded_nets, compiled_at_once, drawn
from tests.export.programs import check, needs_compiler


@needs_compiler
@pytest.mark.parametrize("count", [10, pytest.param(80, marks=pytest.mark.slow)])
def test_programs_of_random_nets_give_what_the_executor_gives(count: int, tmp_path: Path) -> None:
    jobs = drawn(count, coded_nets())
    made, refused = compiled_at_once(jobs, tmp_path)
    assert len(made) + len(refused) == len(jobs)
    for each in made:
        check(each.subject, each.batch, each.program)
    # That programs were compared at all, and of more than convolutions.
    assert len(made) > len(jobs) / 2
    kinds = Counter(op["kind"] for each in made for op in each.program.manifest["operations"])
    assert len(kinds) >= min(6, count / 2), kinds
