"""The verbs `finetune` and `train`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ristretto.api.loading import ModelSource, WeightsSource, chosen, pass_on, prototxt_of
from ristretto.api.training_loop import Listener, Loop
from ristretto.api.training_start import Start, Test, check_outputs, find_named, input_files
from ristretto.api.watch import Silent, Watcher
from ristretto.caffe.caffemodel import encode_weights
from ristretto.caffe.prototxt import encode
from ristretto.caffe.solver_file import read_solver
from ristretto.caffe.writer import rewritten_text
from ristretto.errors import RistrettoError, TrainingError
from ristretto.execute import Scores, default_threads
from ristretto.net import Net, Scheme
from ristretto.passes import TrimWeights

if TYPE_CHECKING:
    from ristretto.finetune.training import Choices

ACTIVATIONS = ("trim", "float")
"""What training may do with layers' inputs and outputs; the default first."""
ROUNDINGS = {scheme.value.lower(): scheme for scheme in Scheme}
DEVICES = ("auto", "cpu", "cuda")
SEEDS = 2**63
"""How many there are: a solver's ``random_seed`` has 63 bits for them."""


@dataclass(frozen=True)
class Options:
    """What a user may choose beside the solver.

    Parameters
    ----------
    activations : str
        "trim" has layers' inputs and outputs trimmed while training, as they are when the net is scored; "float" leaves
        them, as the original does.
    rounding : str or None
        "nearest" or "stochastic", for weights while training; None for what each layer's ``rounding_scheme`` says.
    learn_fl : bool
        Whether fractional lengths are trained, too.
    distill : float
        The share of the loss, 0 to 1, that is the distance from the outputs of the net in float with the weights that
        training starts from. With 1 labels do not count.
    temperature : float
        What class scores are divided by in that distance.
    seed : int or None
        Of all that is random; by default the solver's ``random_seed``, and 0 where it has none.
    max_iter : int or None
        In place of the solver's.
    device : str
        One of `DEVICES`; "auto" takes the GPU where the solver asks for it and there is one.
    starts_from_weights : bool
        Whether to refuse to start from fillers alone.
    """

    activations: str = ACTIVATIONS[0]
    rounding: str | None = None
    learn_fl: bool = False
    distill: float = 0.0
    temperature: float = 1.0
    seed: int | None = None
    max_iter: int | None = None
    device: str = DEVICES[0]
    starts_from_weights: bool = False


@dataclass(frozen=True, eq=False)
class Finetuned:
    """What a training gives.

    Parameters
    ----------
    text : str
        The prototxt: the source, with other fractional lengths where they were learned.
    net : Net
        All phases, with the shadow weights and the formats.
    iteration : int
        Updates that were made, those before a snapshot included.
    complete : bool
        Whether it went on to the end; else it was stopped.
    scores : tuple of Scores
        Of the solver's test nets, at the end; empty where training was stopped or there is none.
    """

    text: str
    net: Net
    iteration: int
    complete: bool
    scores: tuple[Scores, ...]

    def encoded(self) -> bytes:
        """Give the bytes of the prototxt."""
        return encode(self.text)

    def encoded_weights(self) -> bytes:
        """Give the bytes of a caffemodel with weights that the formats hold: trimming them again changes nothing."""
        return encode_weights(TrimWeights()(self.net))

    def encoded_shadow_weights(self) -> bytes:
        """Give the bytes of a caffemodel with the shadow weights."""
        return encode_weights(self.net)


def require_torch() -> None:
    """Make sure, before any work, that nets can be trained.

    Raises
    ------
    RistrettoError
        When torch is not there.
    """
    try:
        import ristretto.finetune.graph  # noqa: F401 (that torch can be imported is all that matters)
    except ImportError as error:
        raise RistrettoError(
            f"training needs torch, which cannot be imported: {error}",
            hint="install it by: pip install 'ristretto-cnn[finetune]'",
        ) from error


def finetune(
    solver: str | Path,
    weights: Sequence[WeightsSource] = (),
    *,
    model: ModelSource | None = None,
    snapshot: str | Path | None = None,
    options: Options = Options(),
    threads: int | None = None,
    outputs: Sequence[str | Path] = (),
    stop: Callable[[], bool] = lambda: False,
    listener: Listener = lambda event: None,
    watcher: Watcher | None = None,
) -> Finetuned:
    """Train a net, quantized or not, as a solver's prototxt says.

    Weights are trimmed in the forward pass; gradients change float weights behind them, the shadow weights (Gysel et
    al. 2016, section 5). Snapshots are written as the solver says.

    Parameters
    ----------
    solver : path
        A solver's prototxt.
    weights : sequence of paths or Nets
        Caffemodels, or nets with weights, to start from; the last one that holds a layer decides. Layers that none
        holds are filled as their fillers say. Without any they are those that the solver names.
    model : path, Model or None
        A prototxt in place of that, or those, which the solver names: a quantized one.
    snapshot : path or None
        A ``.solverstate`` to go on from; its weights take the place of all others.
    options : Options
    threads : int or None
        By default one for each core. Another number gives other last bits.
    outputs : sequence of paths
        What the caller writes, too: none may be read, or be called like a snapshot.
    stop : callable
        Asked after each update whether to stop: then a snapshot is written.
    listener : callable
        Told of each `Event`.
    watcher : Watcher or None
        Told of progress.

    Returns
    -------
    Finetuned

    Raises
    ------
    RistrettoError
        Whatever is wrong with the files, the data or the options; when the loss is no number any more.
    """
    require_torch()
    from ristretto.finetune.devices import choose_device
    from ristretto.finetune.snapshot import read_snapshot, restore
    from ristretto.finetune.training import Training, reproducible

    watcher, threads = watcher or Silent(), threads or default_threads()
    _check(options)
    settings = read_solver(solver)
    for note in settings.notes:
        watcher.note(note)
    if options.max_iter is not None:
        settings = replace(settings, max_iter=options.max_iter)
    begun = None if snapshot is None else read_snapshot(snapshot)
    given: list[WeightsSource] = list(weights) or [find_named(name, settings) for name in settings.weights]
    inputs = input_files(settings, given, model, begun)
    check_outputs(outputs, inputs, settings)
    seed = options.seed if options.seed is not None else max(settings.random_seed, 0)
    read = prototxt_of(find_named(settings.train_net, settings) if model is None else model)
    pass_on(read, watcher)
    if options.starts_from_weights and not given and begun is None:
        raise TrainingError("no weights to start from", hint="give --weights; `ristretto train` starts from fillers")
    if options.distill and not given:
        raise TrainingError(
            "no float net to learn from", hint="give --weights beside --snapshot: those that training started from"
        )
    start = Start.open(read, settings, seed)
    whole = start.with_weights([begun.weights] if begun else given, watcher)
    device = choose_device(options.device, settings, watcher.note)
    training = Training(
        start.trained_net(whole),
        start.source.shapes,
        settings,
        _choices(options, seed),
        teacher=start.trained_net(start.with_weights(given, Silent())) if options.distill else None,
        device=device,
    )
    if begun:
        restore(training, begun)
    tests = [Test.open(test, None if model is None else read, settings, threads) for test in settings.tests]
    loop = Loop(training, whole, start.source, tests, inputs, stop, listener, watcher)
    with reproducible(threads, device):
        complete = loop.run()
        scores = loop.score() if complete else ()
    trained = training.trained(whole)
    return Finetuned(rewritten_text(read.prototxt, read.net, trained), trained, training.iteration, complete, scores)


def _check(options: Options) -> None:
    chosen("treatment of activations", options.activations, dict.fromkeys(ACTIVATIONS))
    chosen("device", options.device, dict.fromkeys(DEVICES))
    if options.rounding is not None:
        chosen("rounding", options.rounding, ROUNDINGS)
    if options.seed is not None and not 0 <= options.seed < SEEDS:
        raise TrainingError(f"a seed of {options.seed}", hint=f"--seed lies between 0 and {SEEDS - 1}")
    if not 0 <= options.distill <= 1:
        raise TrainingError(f"a share of {options.distill:g} of the loss", hint="--distill lies between 0 and 1")
    if not 0 < options.temperature < math.inf:
        raise TrainingError(f"a temperature of {options.temperature:g}", hint="it must be above 0")


def _choices(options: Options, seed: int) -> Choices:
    from ristretto.finetune.graph import Activations
    from ristretto.finetune.training import Choices

    return Choices(
        Activations(options.activations),
        None if options.rounding is None else ROUNDINGS[options.rounding],
        options.learn_fl,
        options.distill,
        options.temperature,
        seed,
    )
