"""What gets a width of its own: which activations meet, and what bounds and wishes leave free."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ristretto.errors import SearchError
from ristretto.net import Net, Part
from ristretto.search.sites import Bounds, Kept, Site, find_sites, widths_of
from ristretto.search.widths import LayerWidths
from tests.search.layer_nets import branched_net, small_net

BOUNDS = Bounds(2, 4)


def names(net: Net) -> list[str]:
    return [layer.name for layer in net if layer.op.part is not None]


def sites(net: Net, keep: dict[str, Kept] | None = None) -> tuple[Site, ...]:
    return find_sites(net, names(net), BOUNDS, keep)


def meetings(net: Net) -> list[set[str]]:
    return [{f"{layer}.{kind}" for layer, kind in site.places} for site in sites(net) if not site.is_weights]


def test_every_layers_weights_are_a_site() -> None:
    found = [site for site in sites(small_net()) if site.is_weights]
    assert [(site.name, site.part) for site in found] == [
        ("conv1", Part.CONV_PARAMS),
        ("conv2", Part.CONV_PARAMS),
        ("ip", Part.FC_PARAMS),
    ]
    assert all(site.places == ((site.name, "params"),) and site.widths == (2, 3, 4) for site in found)


def test_activations_meet_through_relu_and_pooling() -> None:
    assert meetings(small_net()) == [
        {"conv1.layer_in"},
        {"conv1.layer_out", "conv2.layer_in"},
        {"conv2.layer_out", "ip.layer_in"},
        {"ip.layer_out"},
    ]


def test_activations_meet_in_sums_and_joints() -> None:
    """What a shortcut adds is of one width, and so is what lies side by side."""
    assert meetings(branched_net()) == [
        {"stem.layer_in"},
        {"stem.layer_out", "inner.layer_in", "inner.layer_out", "left.layer_in", "right.layer_in"},
        {"left.layer_out", "right.layer_out", "ip.layer_in"},
        {"ip.layer_out"},
    ]


def test_sites_of_activations_are_called_after_their_first_blob() -> None:
    assert [site.name for site in sites(branched_net()) if not site.is_weights] == ["data", "stem", "left", "ip"]


def test_labels_join_nothing() -> None:
    net = branched_net()
    accuracy = net["accuracy"]
    other = replace(accuracy, name="other", bottoms=("left", "label"), tops=("other",))
    assert meetings(replace(net, layers=(*net.layers, other))) == meetings(net)


def test_every_place_has_a_width_whatever_is_chosen() -> None:
    net = branched_net()
    found = sites(net)
    widths = widths_of(found, tuple(range(1, len(found) + 1)))
    assert list(widths) == names(net)
    assert all(own.layer_in and own.layer_out and own.params for own in widths.values())
    assert widths["stem"].layer_out == widths["right"].layer_in == widths["inner"].layer_in


def test_what_has_no_site_stays_in_float() -> None:
    found = [site for site in sites(small_net()) if site.name == "conv2" and site.is_weights]
    assert widths_of(found, (3,)) == {"conv2": LayerWidths(params=3)}


def test_a_kept_layer_has_no_choice() -> None:
    found = sites(small_net(), {"conv2": Kept(params=8, activations=16)})
    fixed = {(site.name, site.part): site.widths for site in found if len(site.widths) == 1}
    assert fixed == {
        ("conv2", Part.CONV_PARAMS): (8,),
        ("conv1", Part.ACTIVATIONS): (16,),
        ("conv2", Part.ACTIVATIONS): (16,),
    }


def test_neighbours_may_be_kept_at_one_width() -> None:
    found = sites(small_net(), {"conv1": Kept(8, 8), "conv2": Kept(4, 8)})
    assert [site.widths for site in found if not site.is_weights] == [(8,), (8,), (8,), (2, 3, 4)]


def test_neighbours_cannot_be_kept_at_two_widths() -> None:
    with pytest.raises(SearchError, match="layers 'conv1' and 'conv2' are kept at 8 and 4 bits") as error:
        sites(small_net(), {"conv1": Kept(8, 8), "conv2": Kept(4, 4)})
    assert "conv2=WEIGHTS/8" in error.value.hint


def test_a_layer_to_keep_must_be_there() -> None:
    with pytest.raises(SearchError, match="no layer 'relu1' that can be quantized") as error:
        sites(small_net(), {"relu1": Kept(8, 8)})
    assert "conv1, conv2, ip" in error.value.hint


@pytest.mark.parametrize("bounds", [(0, 4), (5, 4), (1, 17)])
def test_bounds_that_are_none(bounds: tuple[int, int]) -> None:
    with pytest.raises(SearchError, match=f"widths from {bounds[0]} to {bounds[1]} bits"):
        Bounds(*bounds)
