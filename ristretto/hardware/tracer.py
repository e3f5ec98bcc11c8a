"""The tracer: follows a quantized net's integers from layer to layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ristretto.errors import in_layer
from ristretto.execute.codes import weight_codes
from ristretto.execute.exact import EXACT_IN_FLOAT32, EXACT_IN_FLOAT64
from ristretto.execute.executor import check_ready
from ristretto.execute.lower import Lowered, lower
from ristretto.formats import EXACT, Arithmetic, FixedPoint, Format
from ristretto.hardware.datapath import Datapath, Stage, Trim
from ristretto.hardware.forms import FORMLESS, carried, obstacle_in
from ristretto.hardware.grid import Grid
from ristretto.hardware.mac import describe_mac
from ristretto.hardware.obstacle import Obstacle
from ristretto.net import Layer, Net, Shape
from ristretto.net.form import InFloat
from ristretto.passes import SpellOutSharing

MINIFLOAT = Obstacle(
    "minifloat", "minifloat has no integers", "condense the net with --trimming_mode dynamic_fixed_point"
)
IN_FLOAT = Obstacle(
    "unquantized", "it multiplies and accumulates in float", "give its input, its weights and its output a format"
)
REAL_BIAS = Obstacle(
    "real bias",
    "its biases have no format, and lie on no grid of its sums",
    "condense with --trimming_mode dynamic_fixed_point, or fold the biases away",
)
WIDE_WORD = Obstacle(
    "wide word", "its words hold more than 24 bits, which the executors' float32 rounds", "use words of up to 24 bits"
)
WIDE_TOTAL = Obstacle(
    "wide total", "its totals may take more than 53 bits, which the executors round", "use narrower weights or inputs"
)
WITHOUT_FORMAT = Obstacle(
    "no format", "it mixes integers with numbers that have no format", "let a quantized layer read those first"
)


def trace(net: Net, inputs: Mapping[str, Shape], arithmetic: Arithmetic = EXACT) -> Datapath:
    """Follow the integers through a net.

    Parameters
    ----------
    net : Net
        Of one phase, with its weights; quantized, or in part.
    inputs : mapping of str to shape
        The shapes of the data layers' tops for one batch.
    arithmetic : Arithmetic
        Where halves go.

    Raises
    ------
    ModelError
        When weights are missing or do not fit, or a layer asks for stochastic rounding.
    FormatError
        When a weight is NaN.
    """
    whole = SpellOutSharing(net.shapes(inputs), arithmetic)(net)
    shapes = whole.shapes(inputs)
    lowered = list(lower(whole, arithmetic))
    awaited = _awaited(lowered)
    tracer = _Tracer(arithmetic)
    grids: dict[str, Grid | None] = {}
    for layer in whole.data_layers:
        tracer.begin(layer)
        grids |= {f"{layer.name}.top{index}": None for index in range(len(layer.tops))}
    stages = []
    for each in lowered:
        bottoms = whole.bottom_shapes(whole[each.layer.name], shapes)
        check_ready(whole[each.layer.name], bottoms)
        stage = tracer.add(each, bottoms, awaited=each.layer.name in awaited)
        stages.append(stage)
        grids |= {f"{each.layer.name}.top{index}": grid for index, grid in enumerate(stage.tops)}
    return Datapath(whole, shapes, arithmetic, tuple(stages), grids)


def _awaited(lowered: Sequence[Lowered]) -> set[str]:
    """Give the layers behind which there are integers: that a quantized layer, or a trim, depends on."""
    needed: set[str] = set()
    found = set()
    for each in reversed(lowered):
        layer = each.layer
        trims = each.in_full or each.trim_in is not None or each.trim_out is not None
        if needed.intersection(layer.tops):
            found.add(layer.name)
        if trims or layer.name in found:
            needed.difference_update(layer.tops)
            needed.update(layer.bottoms)
    return found


@dataclass(eq=False)
class _Tracer:
    """What each blob holds, as layers follow each other.

    Parameters
    ----------
    arithmetic : Arithmetic
    blobs : dict of str to Grid or None
        None for real numbers.
    outside : set of str
        The blobs that the machine does not make: data, and what is computed from them in float; scores.
    """

    arithmetic: Arithmetic
    blobs: dict[str, Grid | None] = field(default_factory=dict)
    outside: set[str] = field(default_factory=set)

    def begin(self, layer: Layer) -> None:
        """Take data in."""
        self.blobs |= dict.fromkeys(layer.tops)
        self.outside.update(layer.tops)

    def add(self, lowered: Lowered, shapes: Sequence[Shape], *, awaited: bool) -> Stage:
        """Follow the numbers through a layer.

        Parameters
        ----------
        lowered : Lowered
        shapes : sequence of shape
            Of its bottoms.
        awaited : bool
            Whether there are integers behind it.
        """
        layer = lowered.layer
        trim_in = self._trimmed(layer.bottoms[0], lowered.first_trim)
        bottoms = tuple(self.blobs[blob] for blob in layer.bottoms)
        stage = Stage(layer, bottoms, (None,) * len(layer.tops), tuple(shapes), trim_in)
        if lowered.in_full:
            stage = self._multiplied(stage)
        elif layer.op.part is not None:
            stage = replace(stage, obstacle=IN_FLOAT)
        else:
            stage = self._worked(stage, awaited=awaited)
        if lowered.trim_out:
            trim_out = self._trim(layer.tops[0], lowered.trim_out, stage.tops[0])
            stage = replace(stage, trim_out=trim_out, tops=(trim_out.grid, *stage.tops[1:]))
        stage = self._checked(stage)
        self.blobs |= dict(zip(layer.tops, stage.tops, strict=True))
        self.outside.difference_update(layer.tops)
        if stage.host and not lowered.trim_out:
            self.outside.update(layer.tops)
        return stage

    def _trimmed(self, blob: str, fmt: Format | None) -> Trim | None:
        """Trim a blob in place."""
        if fmt is None:
            return None
        trim = self._trim(blob, fmt, self.blobs[blob])
        self.blobs[blob] = trim.grid
        self.outside.discard(blob)
        return trim

    def _trim(self, blob: str, fmt: Format, source: Grid | None) -> Trim:
        if not isinstance(fmt, FixedPoint):
            return Trim(blob, fmt, source, None)
        return Trim(blob, fmt, source, source.trimmed(fmt, self.arithmetic) if source else Grid.of(fmt))

    def _multiplied(self, stage: Stage) -> Stage:
        """Describe a layer with three formats, or one that trims inside."""
        layer = stage.layer
        quant = layer.quant
        assert quant is not None
        walk = layer.op.geometry(stage.shapes[0])
        places = (quant.layer_in, quant.layer_out)
        if layer.op.trims_inside or walk is None or not all(isinstance(fmt, FixedPoint) for fmt in places):
            return replace(stage, obstacle=MINIFLOAT)
        (grid,) = stage.bottoms
        assert quant.params is not None
        assert grid is not None
        with in_layer(layer.name, "its weights"):
            codes = weight_codes(layer, quant.params, self.arithmetic)
        mac = None if codes is None else describe_mac(layer, walk, codes, grid)
        if mac is None:
            assert quant.layer_out is not None
            trim_out = self._trim(layer.tops[0], quant.layer_out, None)
            stage = replace(stage, trim_out=trim_out, tops=(trim_out.grid,))
            if codes is None:
                return replace(stage, obstacle=MINIFLOAT)
            bare = describe_mac(layer, walk, replace(codes, bias=np.zeros(1)), grid)
            return replace(stage, products=bare, obstacle=REAL_BIAS)
        trim_out = self._trim(layer.tops[0], mac.layer_out, mac.accumulator)
        wide = mac.accumulator.largest > EXACT_IN_FLOAT64
        return replace(stage, trim_out=trim_out, tops=(trim_out.grid,), mac=mac, obstacle=WIDE_TOTAL if wide else None)

    def _worked(self, stage: Stage, *, awaited: bool) -> Stage:
        """Describe a layer that does not multiply and accumulate."""
        layer = stage.layer
        outside = [blob in self.outside for blob in layer.bottoms]
        form = layer.op.form(stage.shapes)
        if all(outside):
            return replace(stage, host=True)
        formless = (form is None or isinstance(form, InFloat)) and not layer.op.passes_on(len(layer.bottoms))
        if not awaited and (formless or any(outside)):
            return replace(stage, host=True)
        grids = [grid for grid in stage.bottoms if grid is not None]
        if len(grids) < len(stage.bottoms):
            # Where the reals come from is told there; here only what would not do on integers either.
            known = obstacle_in(form, stage.shapes) or (FORMLESS if formless else None)
            mixed = WITHOUT_FORMAT if any(outside) and grids else None
            return replace(stage, obstacle=known or mixed)
        work = carried(layer.op, grids, stage.shapes)
        if isinstance(work, Obstacle):
            return replace(stage, obstacle=work)
        return replace(stage, work=work, tops=(work.top,) * len(layer.tops))

    @staticmethod
    def _checked(stage: Stage) -> Stage:
        """Name words that are too wide for the executors."""
        if stage.obstacle or not (stage.mac or stage.trim_out or stage.trim_in):
            return stage
        grids = [stage.trim_in.grid if stage.trim_in else None, *stage.tops]
        wide = any(grid is not None and grid.largest > EXACT_IN_FLOAT32 for grid in grids)
        return replace(stage, obstacle=WIDE_WORD) if wide else stage
