"""Kernels: arrays in, arrays out, compiled by numba; no class of the domain is known here."""
