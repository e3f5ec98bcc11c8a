"""Who takes part in the executor's benchmark, each checked before it is timed."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from executor_nets import WIDTHS, FloatArray, Prepared, Widths
from executor_timing import Contender
from peers import FLOAT, FORMATS, Run, onnxruntime_run, opencv_run, write_models

from ristretto.execute import IntegerExecutor, SimulateExecutor
from ristretto.net import Net, Shape

THREADS = (1, 2)
AGREEMENT = 1e-3
"""Between float runtimes, of the greatest number in an output; Winograd's convolutions are not the closest."""
LEAST_VALUES = 4
"""Different numbers that every layer's output must have: a dead net agrees with anything."""

OURS = {widths: f"ristretto, {widths} bits" for widths in WIDTHS}
ORT_FLOAT = f"onnxruntime, {FLOAT}"
ORT_INT8, ORT_QOPERATOR = (f"onnxruntime, {name}" for name in FORMATS)
OPENCV = f"OpenCV dnn, {FLOAT}"


def ours(net: Net, inputs: Mapping[str, Shape], pictures: FloatArray, threads: int) -> Run:
    """Prepare a quantized net in the integer executor."""
    executor = IntegerExecutor(net, inputs, threads=threads)
    (blob,), (output,) = executor.inputs, executor.net.outputs

    def run() -> FloatArray:
        return np.asarray(executor.run({blob: pictures}).outputs[output])

    return run


def simulated(prepared: Prepared, net: Net) -> FloatArray:
    """Give the simulating executor's output for the first picture, once the integer executor has given the same bits.

    Every quantized layer's output is compared: the last Softmax may press all scores but one to zero.
    """
    first = {prepared.blob: prepared.pictures[:1]}
    inputs = {blob: batch.shape for blob, batch in first.items()}
    keep = [f"{layer.name}.top0" for layer in net if layer.quant]
    expected = SimulateExecutor(net, inputs, keep=keep).run(first)
    found = IntegerExecutor(net, inputs, keep=keep).run(first)
    for value in keep:
        if not np.array_equal(found.kept[value], expected.kept[value]):
            _stop(prepared, f"{value} differs between the integer and the simulating executor")
        if len(np.unique(expected.kept[value])) < LEAST_VALUES:
            _stop(prepared, f"{value} holds next to nothing but one number")
    (output,) = expected.outputs.values()
    return np.asarray(output)


def gather(prepared: Prepared, folder: Path) -> tuple[Sequence[Contender], Mapping[str, Path]]:
    """Prepare everyone, for each number of threads, and check what they compute.

    Ours must give the simulating executor's bits for the batch's first picture, and the same bits for the whole batch
    with any number of threads; the float runtimes must give each other's numbers.

    Parameters
    ----------
    prepared : Prepared
    folder : Path
        Where models are put, one file each.

    Returns
    -------
    sequence of Contender, mapping of str to Path
        The contenders; and the files that they can be made of again, by name: ONNX models, and pickled nets.
    """
    models = write_models(prepared.net, prepared.inputs, prepared.pictures, folder)
    files = {f"onnxruntime, {name}": path for name, path in models.items()}
    contenders = []
    for widths in WIDTHS:
        net, name = prepared.quantized(widths), OURS[widths]
        files[name] = _pickled(net, widths, folder)
        first, batch = simulated(prepared, net), None
        for threads in THREADS:
            contender = Contender(name, threads, ours(net, prepared.inputs, prepared.pictures, threads))
            found = contender.run()
            batch = found if batch is None else batch
            if not (np.array_equal(found[:1], first) and np.array_equal(found, batch)):
                _stop(prepared, f"{name}, threads: {threads}: the batch's result is not the one that it should be")
            contenders.append(contender)
    for threads in THREADS:
        for name in (ORT_FLOAT, ORT_INT8, ORT_QOPERATOR):
            contenders.append(Contender(name, threads, onnxruntime_run(files[name], prepared.pictures, threads)))
        # Its threads belong to the process.
        set_threads = partial(cv2.setNumThreads, threads)
        run = opencv_run(prepared.net, prepared.prototxt, prepared.pictures)
        contenders.append(Contender(OPENCV, threads, run, set_threads))
    outputs = {(it.name, it.threads): it.run() for it in contenders if it.name not in OURS.values()}
    expected = outputs[ORT_FLOAT, 1]
    for threads in THREADS:
        theirs = outputs[OPENCV, threads].reshape(expected.shape)
        if np.abs(theirs - expected).max() > AGREEMENT * np.abs(expected).max():
            _stop(prepared, "OpenCV's output differs from onnxruntime's")
    return contenders, files


def _pickled(net: Net, widths: Widths, folder: Path) -> Path:
    file = folder / f"{widths.activations}x{widths.params}.pickle"
    file.write_bytes(pickle.dumps(net, pickle.HIGHEST_PROTOCOL))
    return file


def _stop(prepared: Prepared, what: str) -> None:
    sys.exit(f"error: {prepared.net.name}: {what}; nothing was timed")
