"""OnlyFed: what a net still is without some of its inputs."""

from __future__ import annotations

from ristretto.layers import Eltwise, Input, ReLU, Silence
from ristretto.net import Layer, Net, Op, Phase
from ristretto.passes import OnlyFed


def net(*layers: tuple[str, Op, tuple[str, ...], tuple[str, ...]]) -> Net:
    data = Layer("data", Input(((1, 2), (1,))), tops=("data", "label"))
    built = [Layer(name, op, bottoms=bottoms, tops=tops) for name, op, bottoms, tops in layers]
    return Net("net", (data, *built)).for_phase(Phase.TEST)


def left(whole: Net, *given: str) -> list[str]:
    return [layer.name for layer in OnlyFed(frozenset(given))(whole)]


def test_a_net_that_is_given_everything_stays_the_same() -> None:
    whole = net(("relu", ReLU(), ("data",), ("relu",)))
    assert OnlyFed(frozenset({"data", "label"}))(whole) is whole


def test_what_reads_a_missing_blob_goes_and_so_does_what_reads_that() -> None:
    whole = net(
        ("relu", ReLU(), ("data",), ("relu",)),
        ("sum", Eltwise(), ("relu", "label"), ("sum",)),
        ("after", ReLU(), ("sum",), ("after",)),
        ("end", Silence(), ("after",), ()),
    )
    fed = OnlyFed(frozenset({"data"}))(whole)
    assert [layer.name for layer in fed] == ["data", "relu"]
    assert fed["data"].tops == ("data",)
    assert fed.outputs == ("relu",)
    assert left(whole, "label") == ["data"]
    assert left(whole) == []


def test_a_blob_that_would_have_been_changed_in_place_is_not_passed_on_unchanged() -> None:
    whole = net(
        ("before", ReLU(), ("data",), ("before",)),
        ("mixed", Eltwise(), ("data", "label"), ("data",)),
        ("after", ReLU(), ("data",), ("after",)),
    )
    assert left(whole, "data") == ["data", "before"]
