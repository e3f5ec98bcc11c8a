"""What layers do in training, against their own forward: values, and slopes measured by small steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ristretto.errors import ModelError  # noqa: E402
from ristretto.finetune.functions import FUNCTIONS, Run  # noqa: E402
from ristretto.finetune.nodes import Nodes  # noqa: E402
from ristretto.layers import LAYERS, MVN, BatchNorm, Dropout, Eltwise, HingeLoss, Pooling, SoftmaxWithLoss  # noqa: E402
from ristretto.net import OnnxNode, Op, Phase  # noqa: E402
from tests.battery import run_onnx  # noqa: E402
from tests.finetune.samples import SAMPLES, Sample  # noqa: E402

CPU = torch.device("cpu")
TRAINED = [sample for sample in SAMPLES if sample.op.training_form(sample.shapes) is not None]
IN_ONNX = [sample for sample in SAMPLES if sample.op.onnx(sample.shapes) is not None]
NAMES = [f"{sample.op.type}-{index}" for index, sample in enumerate(TRAINED)]


def run_of(dtype: torch.dtype = torch.float64, noise: Sequence[float] = ()) -> Run:
    """Give a run whose chance is what a test says."""
    return Run(dtype, CPU, lambda shape: torch.tensor(noise, dtype=dtype).reshape(tuple(shape)))


def trained(op: Op, bottoms: Sequence[torch.Tensor], blobs: Sequence[torch.Tensor], **how: object):
    form = op.training_form([tuple(bottom.shape) for bottom in bottoms])
    assert form is not None
    tops = len(op.infer([tuple(bottom.shape) for bottom in bottoms]))
    return Nodes(form, run_of(**how))(bottoms, blobs, tops)


def tensors(arrays: Sequence[np.ndarray], requires_grad: bool = False) -> list[torch.Tensor]:
    return [torch.tensor(array, dtype=torch.float64, requires_grad=requires_grad) for array in arrays]


def test_every_layer_that_can_be_trained_has_a_sample() -> None:
    without = {"Accuracy", "ArgMax", "DetectionOutput", "Threshold"}
    assert {sample.op.type for sample in SAMPLES} == {op.type for op in LAYERS if not op.is_data} - without


@pytest.mark.parametrize("sample", TRAINED, ids=NAMES)
def test_training_gives_the_numbers_of_forward(sample: Sample) -> None:
    rng = np.random.default_rng(5)
    bottoms, blobs = sample.bottoms(rng), sample.blobs(rng)
    wanted = sample.op.forward(bottoms, blobs)
    found = trained(sample.op, tensors(bottoms), tensors(blobs)).tops
    assert len(found) == len(wanted)
    for top, array in zip(found, wanted, strict=True):
        assert top.dtype == torch.float64
        assert tuple(top.shape) == array.shape
        # The nodes' own constants are float32's.
        np.testing.assert_allclose(top.numpy(), array, rtol=2e-6, atol=2e-7)


def moves(sample: Sample) -> list[bool]:
    """Say which bottoms a slope can be measured at: not labels, places, or those that only show a size."""
    reals = [True] * len(sample.shapes)
    if sample.labels:
        reals[-1] = False
    return reals


@pytest.mark.parametrize("sample", TRAINED, ids=NAMES)
def test_gradients_are_the_slopes_of_forward(sample: Sample) -> None:
    """By each bottom and each blob that learns, along two random directions, of a random sum of all tops."""
    rng = np.random.default_rng(6)
    op = sample.op
    bottoms, blobs = sample.bottoms(rng), sample.blobs(rng)
    # The maximum of no number is the least one of float32, beside which nothing else counts.
    factors = [rng.normal(size=top.shape) * (np.abs(top) < 1e30) for top in op.forward(bottoms, blobs)]
    if op.higher_is_better is False:
        # Caffe's losses have a gradient by their first top only.
        factors = [factors[0], *(np.zeros_like(factor) for factor in factors[1:])]

    def total(arrays: list[np.ndarray]) -> float:
        tops = op.forward(arrays[: len(bottoms)], arrays[len(bottoms) :])
        return float(sum((factor * top).sum() for factor, top in zip(factors, tops, strict=True)))

    reals = [*moves(sample), *(op.learns for _ in blobs)]
    given = [torch.tensor(a, requires_grad=real) for a, real in zip([*bottoms, *blobs], reals, strict=True)]
    tops = trained(op, given[: len(bottoms)], given[len(bottoms) :]).tops
    whole = sum((torch.tensor(factor) * top).sum() for factor, top in zip(factors, tops, strict=True))
    if whole.requires_grad:
        whole.backward()
    step = 1e-6
    for place, (array, tensor) in enumerate(zip([*bottoms, *blobs], given, strict=True)):
        for _ in range(2 if reals[place] else 0):
            direction = rng.normal(size=array.shape)
            ends = []
            for sign in (1, -1):
                arrays = [*bottoms, *blobs]
                arrays[place] = array + sign * step * direction
                ends.append(total(arrays))
            slope = (ends[0] - ends[1]) / (2 * step)
            got = 0.0 if tensor.grad is None else float((tensor.grad.numpy() * direction).sum())
            assert got == pytest.approx(slope, rel=1e-5, abs=1e-6), place


@pytest.mark.parametrize("sample", TRAINED, ids=NAMES)
def test_gradients_pass_torchs_own_check(sample: Sample) -> None:
    rng = np.random.default_rng(7)
    op, bottoms, blobs = sample.op, sample.bottoms(rng), sample.blobs(rng)
    reals = [*moves(sample), *(op.learns for _ in blobs)]
    given = [torch.tensor(a, requires_grad=real) for a, real in zip([*bottoms, *blobs], reals, strict=True)]

    def compute(*inputs: torch.Tensor) -> list[torch.Tensor]:
        tops = trained(op, inputs[: len(bottoms)], inputs[len(bottoms) :]).tops
        return [top for top in tops if top.requires_grad]

    if compute(*given):
        torch.autograd.gradcheck(compute, given, fast_mode=True)


@pytest.mark.parametrize("sample", IN_ONNX, ids=[f"{s.op.type}-{i}" for i, s in enumerate(IN_ONNX)])
def test_every_node_computes_what_onnxruntime_computes(sample: Sample) -> None:
    """In float32, of the plain ONNX form: every operation that a layer may name."""
    op = sample.op
    form = op.onnx(sample.shapes)
    assert form is not None
    rng = np.random.default_rng(8)
    bottoms, blobs = (
        [np.asarray(a, np.float32) for a in arrays] for arrays in (sample.bottoms(rng), sample.blobs(rng))
    )
    tops = len(op.infer(sample.shapes))
    given = [torch.from_numpy(array) for array in bottoms], [torch.from_numpy(array) for array in blobs]
    found = Nodes(form, run_of(torch.float32))(*given, tops).tops
    for top, wanted in zip(found, run_onnx(op, bottoms, blobs), strict=True):
        assert top.dtype == torch.float32
        np.testing.assert_allclose(top.numpy(), wanted, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    "text", ["", "argmax_param { axis: 1 top_k: 3 }", "argmax_param { out_max_val: true top_k: 2 }"]
)
def test_the_nodes_of_layers_without_gradients_are_there_too(text: str) -> None:
    sample = Sample(f'type: "ArgMax" {text}', ((2, 4, 3),))
    test_every_node_computes_what_onnxruntime_computes(sample)
    test_every_node_computes_what_onnxruntime_computes(Sample('type: "Threshold"', ((2, 4),)))
    assert sample.op.training_form(sample.shapes) is None


def test_the_places_of_a_pooling_lead_back_into_the_picture() -> None:
    for window in ("kernel_size: 2 stride: 2", "kernel_size: 3 stride: 2 pad: 1"):
        text = f'top: "y" top: "places" type: "Pooling" pooling_param {{ {window} }}'
        test_every_node_computes_what_onnxruntime_computes(Sample(text, ((2, 3, 5, 6),)))


def test_no_function_is_idle() -> None:
    """Every entry of the table belongs to a node that some sample, or an ArgMax or Threshold, has."""
    others = [
        Sample('type: "ArgMax" argmax_param { out_max_val: true }', ((2, 4),)),
        Sample('type: "Threshold"', ((2,),)),
    ]
    places = Sample('top: "y" top: "p" type: "Pooling" pooling_param { kernel_size: 2 }', ((1, 1, 3, 3),))
    dropout = Sample('type: "Dropout"', ((2,),))
    used: set[str] = set()
    for sample in (*SAMPLES, *others, places, dropout):
        for form in (sample.op.onnx(sample.shapes), sample.op.training_form(sample.shapes)):
            used |= {node.op_type for node in form or ()}
    assert used == set(FUNCTIONS)


def test_an_operation_without_a_function_is_named() -> None:
    with pytest.raises(ModelError, match="Celu"):
        Nodes([OnnxNode("Celu", ("b0",), ("t0",))], run_of())


def test_dropout_keeps_by_chance_and_scales() -> None:
    op = Dropout(dropout_ratio=0.25, training=True)
    x = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64, requires_grad=True)
    (top,) = trained(op, [x], [], noise=[0.0, 0.2499, 0.25, 0.99]).tops
    np.testing.assert_allclose(top.detach().numpy(), [0, 0, 4, 16 / 3])
    top.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0, 0, 4 / 3, 4 / 3])


@pytest.mark.parametrize("shape", [(3, 2, 2, 2), (5, 2), (1, 2, 1, 1)])
def test_batch_norm_adds_the_batchs_statistics_to_its_sums(shape: tuple[int, ...]) -> None:
    op = BatchNorm(moving_average_fraction=0.75).in_phase(Phase.TRAIN)
    rng = np.random.default_rng(9)
    x, blobs = rng.normal(2, 3, shape), [rng.normal(size=2), rng.uniform(1, 2, 2), np.array([3.5])]
    found = trained(op, tensors([x]), tensors(blobs)).blobs
    for channel in range(2):
        values = [float(v) for v in x[:, channel].flat]
        mean = sum(values) / len(values)
        spread = sum((v - mean) ** 2 for v in values) / max(len(values) - 1, 1)
        assert found[0][channel] == pytest.approx(0.75 * blobs[0][channel] + mean)
        assert found[1][channel] == pytest.approx(0.75 * blobs[1][channel] + spread)
    assert found[2].tolist() == [0.75 * 3.5 + 1]


def test_stored_statistics_stay_as_they_are() -> None:
    op = BatchNorm(use_global_stats=True).in_phase(Phase.TRAIN)
    assert not trained(op, tensors([np.ones((2, 2))]), tensors([np.ones(2), np.ones(2), np.ones(1)])).blobs


def test_of_equal_numbers_caffe_gives_one_the_gradient() -> None:
    """An Eltwise maximum: the second of the first two, an earlier one after that; a pooling: the first of a window."""
    given = [torch.tensor([1.0], dtype=torch.float64, requires_grad=True) for _ in range(3)]
    trained(Eltwise("MAX"), given, []).tops[0].sum().backward()
    assert [float(x.grad) for x in given] == [0, 1, 0]
    for order in (torch.contiguous_format, torch.channels_last):
        x = torch.ones((1, 3, 2, 2), dtype=torch.float64).contiguous(memory_format=order).requires_grad_()
        trained(Pooling("MAX", (2, 2)), [x], []).tops[0].sum().backward()
        assert x.grad[0, 2].reshape(-1).tolist() == [1, 0, 0, 0]


def test_numbers_without_a_spread_have_no_gradient_that_is_not_a_number() -> None:
    x = torch.ones((2, 1, 2, 2), dtype=torch.float64, requires_grad=True)
    trained(MVN(), [x], []).tops[0].square().sum().backward()
    assert torch.isfinite(x.grad).all()


def test_large_scores_have_finite_losses() -> None:
    x = torch.tensor([[0.0, 500.0]], dtype=torch.float64, requires_grad=True)
    trained(SoftmaxWithLoss(), [x, torch.zeros(1, dtype=torch.float64)], []).tops[0].backward()
    np.testing.assert_allclose(x.grad.numpy(), [[-1, 1]])


@pytest.mark.parametrize("op", [SoftmaxWithLoss(), HingeLoss(), SoftmaxWithLoss(ignore_label=7)])
@pytest.mark.parametrize("label", [-1, 3, -100])
def test_a_class_that_is_not_there_is_named(op: Op, label: int) -> None:
    with pytest.raises(ModelError, match=f"label {label} where the net has 3 classes"):
        trained(op, tensors([np.zeros((1, 3)), np.array([label])]), [])


def test_nothing_to_average_is_no_loss() -> None:
    given = tensors([np.ones((2, 3)), np.array([1.0, 1.0])], requires_grad=True)
    (loss, _) = trained(SoftmaxWithLoss(ignore_label=1), given, []).tops
    loss.backward()
    assert loss.item() == 0
    assert not given[0].grad.any()
