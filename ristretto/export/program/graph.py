"""The program's operations as a graph: what each one makes of which values, and the trims behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ristretto.execute.compiled.piece import Codes
from ristretto.export.program.numbers import Numbers, Step, Words
from ristretto.net import Geometry, Layer
from ristretto.net.form import Join, Response, Window
from ristretto.net.op import Array, Shape


@dataclass(eq=False)
class Value:
    """What a blob holds between two operations, of one picture.

    Parameters
    ----------
    blob : str
        The blob that it is a version of.
    shape : tuple of int
        Of one picture; numbers lie in memory as Caffe has them, the last axis' side by side.
    numbers : Grid or Words
    """

    blob: str
    shape: Shape
    numbers: Numbers = field(default_factory=Words)

    @property
    def channels(self) -> int:
        """The length of the first axis."""
        return self.shape[0] if self.shape else 1


@dataclass(frozen=True, eq=False)
class Load:
    """Takes a blob that comes from outside."""


@dataclass(frozen=True, eq=False)
class Copy:
    """Passes numbers on, to be trimmed or clamped."""


@dataclass(frozen=True, eq=False)
class Pick:
    """Numbers of the inputs, chosen by their places.

    Parameters
    ----------
    places : int64 array (numbers of the output,)
        Where each one stands, the inputs one behind the other.
    """

    places: Array


@dataclass(frozen=True, eq=False)
class Multiply:
    """A multiply-accumulate layer on codes.

    Parameters
    ----------
    layer : Layer
        With its three formats.
    walk : Geometry
    codes : Codes
    """

    layer: Layer
    walk: Geometry
    codes: Codes


@dataclass(frozen=True, eq=False)
class Function:
    """A function of one number, or of one and its channel: some layers, one after the other."""

    layers: tuple[Layer, ...]
    by_channel: bool


Work = Load | Copy | Pick | Multiply | Function | Window | Join | Response


@dataclass(eq=False)
class Node:
    """Makes a value.

    Parameters
    ----------
    work : Work
    layers : list of str
        Whose work it is: the layer itself, then those whose trims and clamps are done in the same go.
    inputs : list of Value
    output : Value
    steps : list of Step
        Trims and clamps of its results, one after the other.
    """

    work: Work
    layers: list[str]
    inputs: list[Value]
    output: Value
    steps: list[Step] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Output:
    """A blob that the program gives.

    Parameters
    ----------
    blob : str
    value : Value
    readers : tuple of str
        The layers outside the program that read it.
    """

    blob: str
    value: Value
    readers: tuple[str, ...]


@dataclass(eq=False)
class Graph:
    """Operations in an order in which they can run, and what is read of them from outside."""

    nodes: list[Node] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)

    def maker(self, value: Value) -> Node:
        """Give the node that makes a value."""
        return next(node for node in self.nodes if node.output is value)

    def readers(self, value: Value) -> int:
        """Count who reads a value, outside included."""
        inside = sum(read is value for node in self.nodes for read in node.inputs)
        return inside + sum(output.value is value for output in self.outputs)

    def drop_unread(self) -> None:
        """Leave out what makes values that nobody reads."""
        read = {output.value for output in self.outputs}
        kept = []
        for node in reversed(self.nodes):
            if node.output in read:
                kept.append(node)
                read.update(node.inputs)
        self.nodes = kept[::-1]

    def fuse(self, allows: Callable[[Node, Node], bool]) -> None:
        """Let trims and clamps be done by what makes their numbers, where nobody else reads these.

        Parameters
        ----------
        allows : callable
            Whether a node may take over the steps of the one behind it.
        """
        # From the end: a trim joins the clamp before it, and both together what stands before that.
        for node in reversed(list(self.nodes)):
            if not isinstance(node.work, Copy):
                continue
            (value,) = node.inputs
            maker = self.maker(value)
            if self.readers(value) == 1 and allows(maker, node):
                maker.steps += node.steps
                maker.layers += [name for name in node.layers if name not in maker.layers]
                maker.output = node.output
                self.nodes.remove(node)
