"""Condense trained Caffe nets to fixed point, without Caffe."""

__version__ = "0.1.0"
