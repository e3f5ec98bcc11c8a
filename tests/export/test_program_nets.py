"""Programs of random nets: what they give, bit for bit."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.export.program_nets import coded_nets, compiled_at_once, drawn
from tests.export.programs import check, needs_compiler

NETS = 30


@needs_compiler
def test_programs_of_random_nets_give_what_the_executor_gives(tmp_path: Path) -> None:
    jobs = drawn(NETS, coded_nets())
    made, refused = compiled_at_once(jobs, tmp_path)
    assert len(made) + len(refused) == len(jobs)
    for each in made:
        check(each.subject, each.batch, each.program)
    # That programs were compared at all, and of more than convolutions.
    assert len(made) > len(jobs) / 2
    kinds = Counter(op["kind"] for each in made for op in each.program.manifest["operations"])
    assert len(kinds) >= 5, kinds
