"""Cluster: the same marks, from nets that run in worker processes on this machine or on others.

dask and distributed are an extra, so they are imported where they are needed.
"""

from ristretto.cluster.address import check_scheduler
from ristretto.cluster.marker import ClusterMarker

__all__ = ["ClusterMarker", "check_scheduler"]
