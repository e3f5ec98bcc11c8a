"""The runtimes that the executor is measured beside, on the same float net: onnxruntime and OpenCV."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from ristretto.caffe.caffemodel import encode_weights
from ristretto.export import Subject
from ristretto.export.onnx.float_model import FloatOnnx
from ristretto.net import Net, Shape

FloatArray = NDArray[np.float32]
Run = Callable[[], FloatArray]
"""One batch through a net: gives the output blob."""

FLOAT = "float32"
FORMATS = {"int8 QDQ": QuantFormat.QDQ, "int8 QOperator": QuantFormat.QOperator}
"""Both ways in which onnxruntime's own tool writes a quantized net."""


class OneBatch(CalibrationDataReader):  # type: ignore[misc]
    """Feeds onnxruntime's calibration with a single batch."""

    def __init__(self, feed: Mapping[str, FloatArray]) -> None:
        self.feeds = iter([feed])

    def get_next(self) -> Mapping[str, FloatArray] | None:
        """Give the batch, then nothing."""
        return next(self.feeds, None)


def write_models(net: Net, inputs: Mapping[str, Shape], pictures: FloatArray, folder: Path) -> Mapping[str, Path]:
    """Write a float net as an ONNX model, and what ``quantize_static`` makes of it.

    The int8 models have unsigned activations and signed weights, one scale for each blob, ranges that cover the same
    pictures that our formats cover; prepared by ``quant_pre_process`` as onnxruntime's manual advises.

    Parameters
    ----------
    net : Net
        The float net, folded.
    inputs : mapping of str to shape
    pictures : float32 array
        The batch to calibrate with.
    folder : Path

    Returns
    -------
    mapping of str to Path
        The files of `FLOAT` and of each of `FORMATS`.
    """
    # It warns of every net in QOperator that QDQ is newer, and of what its own pre-processing has left.
    logging.getLogger().setLevel(logging.ERROR)
    files = {name: folder / f"{name.replace(' ', '_')}.onnx" for name in (FLOAT, *FORMATS)}
    ((blob, shape),) = inputs.items()
    onnx.save(FloatOnnx().write(Subject(net, inputs, batch=shape[0])).model, files[FLOAT])
    prepared = folder / "prepared.onnx"
    # Every shape is fixed: there is nothing symbolic to infer.
    quant_pre_process(files[FLOAT], prepared, skip_symbolic_shape=True)
    for name, quant_format in FORMATS.items():
        quantize_static(
            prepared,
            files[name],
            OneBatch({blob: pictures}),
            quant_format=quant_format,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=False,
        )
    return files


def onnxruntime_run(file: Path, pictures: FloatArray, threads: int) -> Run:
    """Prepare a model in onnxruntime, with its default optimizations."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # Threads spin within a run, as is its default, but not on into the next contender's turn.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: pictures}

    def run() -> FloatArray:
        (output,) = session.run(None, feed)
        return np.asarray(output)

    return run


def opencv_run(net: Net, prototxt: bytes, pictures: FloatArray) -> Run:
    """Prepare a float net in OpenCV, whose number of threads belongs to the process: ``cv2.setNumThreads``.

    It reads Caffe's files: through ONNX its average pools over clipped windows come out wrong (CIFAR-10 full).
    """
    weights = np.frombuffer(encode_weights(net), np.uint8)
    theirs = cv2.dnn.readNetFromCaffe(np.frombuffer(prototxt, np.uint8), weights)
    theirs.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    theirs.setPreferableTarget(cv2.dnn.DNN_TARGET_CPU)

    def run() -> FloatArray:
        theirs.setInput(pictures)
        return np.asarray(theirs.forward())

    return run
