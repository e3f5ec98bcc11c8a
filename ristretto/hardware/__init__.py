"""Hardware: a quantized net as integers and shifts, and whether these will do."""

from ristretto.hardware.datapath import Datapath, Stage, Trim
from ristretto.hardware.grid import Grid
from ristretto.hardware.mac import MacPath
from ristretto.hardware.observe import ObservingExecutor, observe
from ristretto.hardware.obstacle import Obstacle
from ristretto.hardware.realisability import Realisability, needs
from ristretto.hardware.tracer import trace

__all__ = [
    "Datapath",
    "Grid",
    "MacPath",
    "ObservingExecutor",
    "Obstacle",
    "Realisability",
    "Stage",
    "Trim",
    "needs",
    "observe",
    "trace",
]
