"""Passes: net in, net out. A pass is a frozen dataclass whose fields are its options; it lives in a file of its own."""

from ristretto.passes.quantize_layers import QuantizeLayers

__all__ = ["QuantizeLayers"]
