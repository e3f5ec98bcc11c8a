"""Runtimes that an exported model may be compared in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import onnx

from ristretto.errors import RistrettoError
from ristretto.net.op import Array

Runner = Callable[[onnx.ModelProto, Mapping[str, Array]], Sequence[Array]]
"""Runs a model on its inputs by name, and gives its outputs in order."""


def in_onnxruntime(*, optimized: bool = False) -> Runner:
    """Give a runner: onnxruntime on one thread.

    Parameters
    ----------
    optimized : bool
        Whether its optimizer may put integer kernels in the place of a DequantizeLinear, a layer and a QuantizeLinear,
        as it does when nobody says otherwise; else the model is run as it is written. On x86 processors without VNNI
        these kernels add pairs of products up in 16 bits, which overflow: it is told to use others there.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.x64quantprecision", "1")
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL

    def run(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> Sequence[Array]:
        serialized = model.SerializeToString()
        session = onnxruntime.InferenceSession(serialized, options, providers=["CPUExecutionProvider"])
        return list(session.run(None, dict(feeds)))

    return run


def in_qonnx() -> Runner:
    """Give a runner: `qonnx`, node by node; it takes models with a fixed number of pictures.

    Raises
    ------
    RistrettoError
        When it is not installed.
    """
    try:
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.infer_shapes import InferShapes
    except ImportError as error:
        raise RistrettoError("qonnx is not installed", hint="pip install qonnx") from error

    def run(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> Sequence[Array]:
        wrapped = ModelWrapper(model).transform(InferShapes())
        values = execute_onnx(wrapped, dict(feeds))
        return [values[value.name] for value in wrapped.graph.output]

    return run
