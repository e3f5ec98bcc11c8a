"""Caffe's messages, in a descriptor pool of their own.

protobuf's default pool is one for the whole process, and pycaffe registers its own version of these messages there.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


@cache
def _pool() -> Any:
    compiled = resources.files("ristretto.caffe").joinpath("caffe.desc").read_bytes()
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(compiled).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


@cache
def message_class(name: str) -> Any:
    """Give the class of a message.

    Parameters
    ----------
    name : str
        As in ``proto/caffe.proto``, without the package: ``NetParameter``.

    Returns
    -------
    type
        The class, the same one in every call.

    Examples
    --------
    >>> message_class("LRNParameter")().local_size
    5
    """
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"caffe.{name}"))
