"""Hardware: a quantized net as integers and shifts, and whether these will do."""

from ristretto.hardware.datapath import Datapath, Stage, Trim, trace
from ristretto.hardware.grid import Grid
from ristretto.hardware.mac import MacPath
from ristretto.hardware.obstacle import Obstacle

__all__ = ["Datapath", "Grid", "MacPath", "Obstacle", "Stage", "Trim", "trace"]
