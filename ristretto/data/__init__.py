"""Where batches come from: databases, picture files and arrays, transformed as Caffe does."""

from ristretto.data.cache import CachedSource
from ristretto.data.feed import AS_WRITTEN, Feed, Preparation, feed
from ristretto.data.kinds import KINDS, open_sources
from ristretto.data.lmdb_writer import write_lmdb
from ristretto.data.source import Batch, BatchSource, MergedSource

__all__ = [
    "AS_WRITTEN",
    "KINDS",
    "Batch",
    "BatchSource",
    "CachedSource",
    "Feed",
    "MergedSource",
    "Preparation",
    "feed",
    "open_sources",
    "write_lmdb",
]
