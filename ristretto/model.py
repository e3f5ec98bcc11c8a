"""Model: a net as an object whose methods are the verbs."""

from __future__ import annotations

import html
import inspect as introspection
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from ristretto import api
from ristretto.api.finetuning import ACTIVATIONS, DEVICES
from ristretto.api.loading import chosen
from ristretto.caffe.caffemodel import encode_weights
from ristretto.caffe.prototxt import encode
from ristretto.caffe.reader import Model as Read
from ristretto.caffe.reader import model_of
from ristretto.errors import OutputError
from ristretto.execute import Scores
from ristretto.export import EXPORTERS, Exported
from ristretto.export.folder import EarlierExport
from ristretto.hardware.realisability import Realisability
from ristretto.net import Net, Phase
from ristretto.outputs import Outputs
from ristretto.report import plain, terminal
from ristretto.search import SearchResult

P = ParamSpec("P")
R = TypeVar("R")


def _options_of(
    verb: Callable[Concatenate[Any, Any, P], Any],
) -> Callable[[Callable[..., R]], Callable[Concatenate[Any, P], R]]:
    """Give a method the options of a verb: all that stands behind model and weights, with types and defaults.

    So a verb that gains an option hands it on at once, and `help` tells of it.
    """
    return lambda method: _taking(method, verb, 2)


def _options_of_writing(
    verb: Callable[Concatenate[Any, Any, str, P], Any],
) -> Callable[[Callable[..., R]], Callable[Concatenate[Any, str, str | Path, P], R]]:
    """Give the same to a method that takes a kind and a path before them."""
    return lambda method: _taking(method, verb, 3)


def _taking(method: Callable[..., R], verb: Callable[..., Any], given: int) -> Callable[..., R]:
    """Show a method with its own parameters, but for those that start with a star, and a verb's behind the given."""
    told = introspection.signature(method)
    own = [each for each in told.parameters.values() if each.kind is each.POSITIONAL_OR_KEYWORD]
    options = list(introspection.signature(verb).parameters.values())[given:]
    method.__signature__ = told.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    return method


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A net with its weights, as `ristretto.load` gives it. Nothing changes it: methods give new ones.

    Parameters
    ----------
    source : Model of ristretto.caffe.reader
        The prototxt, as it was read.
    net : Net
        All phases, with weights.
    files : tuple of Path
        Where it was read from: `save` does not overwrite these.

    Examples
    --------
    >>> import ristretto
    >>> net = ristretto.load("models/lenet/train_val.prototxt", "models/lenet/lenet.caffemodel")
    >>> net
    <Model 'LeNet': 4 layers with weights, 431,080 parameters>
    >>> round(net.score(iterations=4)["accuracy"], 2)
    0.99
    """

    source: Read
    net: Net
    files: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """The net's name."""
        return self.net.name

    @property
    def text(self) -> str:
        """The prototxt."""
        return self.source.prototxt.text

    @property
    def notes(self) -> tuple[str, ...]:
        """What was worth a note when it was read: a legacy format, unknown fields."""
        return self.source.notes

    def inspect(self, phase: str = "TEST") -> api.Inspection:
        """List the layers, with shapes, parameters, multiply-accumulates and formats; see `ristretto.api.inspect`."""
        return api.inspect(self.source, self.net, phase=_phase(phase))

    @_options_of(api.test)
    def score(self, **options: Any) -> Scores:
        """Score the net on its TEST data; the options are those of `ristretto.api.test`.

        Returns
        -------
        Scores
            ``scores["accuracy"]`` is a fraction; `Scores.figures` has all of them.
        """
        return api.test(self.source, self.net, **options)

    @_options_of(api.run)
    def run(self, *arrays: Any, **options: Any) -> Mapping[str, Any]:
        """Run the net on arrays; the options are those of `ristretto.api.run`.

        Returns
        -------
        mapping of str to float32 array
            The output blobs, in real units.
        """
        return api.run(self.source, self.net, *arrays, **options)

    @_options_of(api.quantize)
    def quantize(self, **options: Any) -> QuantizedModel:
        """Condense the net; the options are those of `ristretto.api.quantize`."""
        found = api.quantize(self.source, self.net, **options)
        return QuantizedModel(
            model_of(found.text, self.source.path), found.net, self.files, found=found, origin=self.net
        )

    @_options_of(api.sweep)
    def sweep(self, **options: Any) -> api.Swept:
        """Score the net at every width; the options are those of `ristretto.api.sweep`."""
        return api.sweep(self.source, self.net, **options)

    @_options_of(api.fold)
    def fold(self, **options: Any) -> Model:
        """Fold BatchNorm, Scale and Bias layers into the weights before them; see `ristretto.api.fold`."""
        folded = api.fold(self.source, self.net, **options)
        return Model(model_of(folded.text, self.source.path), folded.net, self.files)

    def finetune(
        self,
        solver: str | Path,
        *,
        activations: str = ACTIVATIONS[0],
        rounding: str | None = None,
        learn_fl: bool = False,
        distill: float = 0.0,
        temperature: float = 1.0,
        seed: int | None = None,
        max_iter: int | None = None,
        device: str = DEVICES[0],
        snapshot: str | Path | None = None,
        threads: int | None = None,
        watcher: api.Watcher | None = None,
    ) -> FinetunedModel:
        """Train the net, in place of the one that a solver names; see `ristretto.api.finetune` and its `Options`."""
        options = api.Options(activations, rounding, learn_fl, distill, temperature, seed, max_iter, device)
        found = api.finetune(
            solver,
            [self.net],
            model=self.source,
            options=options,
            snapshot=snapshot,
            threads=threads,
            watcher=watcher,
        )
        return FinetunedModel(model_of(found.text, self.source.path), found.net, self.files, scores=found.scores)

    @_options_of(api.hardware)
    def hardware(self, **options: Any) -> Realisability:
        """Say what a quantized net asks of hardware; the options are those of `ristretto.api.hardware`."""
        return api.hardware(self.source, self.net, **options)

    @_options_of_writing(api.export)
    def export(self, kind: str, out: str | Path, **options: Any) -> Exported:
        """Write the net for other tools; the options are those of `ristretto.api.export`.

        Parameters
        ----------
        kind : str
            One of ``ristretto.export.EXPORTERS``.
        out : path
            The file or, for a kind that has several, the folder to write: a new one, an empty one, or that of an
            earlier export, whose files give way.

        Returns
        -------
        Exported
            What was written, and notes on it.
        """
        place = Path(out)
        single = chosen("format", kind, EXPORTERS).single_file
        earlier = None if single else EarlierExport.found(place)
        exported = api.export(self.source, self.net, kind, **options)
        with Outputs([place / name for name in exported.files], inputs=self.files) as outputs:
            for name, content in exported.files.items():
                outputs.write(place / name, content)
        if earlier is not None:
            earlier.remove_others(exported.files)
        return exported

    def save(self, model: str | Path, weights: str | Path | None = None) -> None:
        """Write the net.

        Parameters
        ----------
        model : path
            Where the prototxt goes.
        weights : path or None
            Where the caffemodel goes.

        Raises
        ------
        OutputError
            When a file cannot be written, or is one that the net was read from.
        """
        self._write((model, lambda: encode(self.text)), (weights, lambda: encode_weights(self.net)))

    def _write(self, *files: tuple[str | Path | None, Callable[[], bytes]]) -> None:
        """Write the files that have a path, with what makes their content."""
        named = [(Path(path), make) for path, make in files if path is not None]
        with Outputs([path for path, _ in named], inputs=self.files) as outputs:
            for path, make in named:
                outputs.write(path, make())

    def __str__(self) -> str:
        """Give a table of the layers."""
        return terminal.as_text(terminal.inspection(self.inspect()))

    def __repr__(self) -> str:
        """Name the net, and its size."""
        return f"<{type(self).__name__} '{self.name}': {self._told()}>"

    def _told(self) -> str:
        held = {layer.name: layer.blobs for layer in self.net if layer.blobs}
        count = sum(blob.size for blobs in held.values() for blob in blobs)
        return f"{len(held)} layers with weights, {count:,} parameters" if held else "without weights"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}\n{html.escape(str(self))}</pre>"


@dataclass(frozen=True, eq=False, repr=False)
class QuantizedModel(Model):
    """A condensed net, as `Model.quantize` gives it.

    Parameters
    ----------
    found : Quantized
        All that the search gave.
    origin : Net
        What it was condensed from.
    """

    found: api.Quantized = field(kw_only=True)
    origin: Net = field(kw_only=True)

    @property
    def result(self) -> SearchResult:
        """What the search tried and what it decided."""
        return self.found.result

    @property
    def within_margin(self) -> bool:
        """Whether the reported score lies within the margin."""
        return self.result.within_margin

    @property
    def bits(self) -> dict[str, int]:
        """The widths chosen, in bits, by part; none where layers have widths of their own (``result.widths``)."""
        return {part.value: width for part, width in self.result.bits.items()}

    def save(
        self,
        model: str | Path,
        weights: str | Path | None = None,
        *,
        float_weights: str | Path | None = None,
        json: str | Path | None = None,
    ) -> None:
        """Write the net.

        Parameters
        ----------
        model : path
            Where the prototxt goes.
        weights : path or None
            Where a caffemodel with weights goes that the formats hold. Only a net whose weights were changed (folded,
            equalized, refined) needs it: another takes the caffemodel that it was read from.
        float_weights : path or None
            Where the float weights go, to start fine-tuning from: the net's before it was refined.
        json : path or None
            Where the result of the search goes, as ``ristretto quantize --json`` writes it.

        Raises
        ------
        OutputError
            When the net's weights were changed and have no file, when a file cannot be written, or is one that the net
            was read from.
        """
        if weights is None and float_weights is None and self.has_own_weights:
            raise OutputError(
                f"the weights of '{self.name}' were changed, and would be lost",
                hint="name a file for them: weights=...",
            )
        self._write(
            (model, self.found.encoded),
            (weights, self.found.encoded_weights),
            (float_weights, self.found.encoded_plain_weights),
            (json, lambda: plain.text(plain.quantized(self.found)).encode()),
        )

    @property
    def has_own_weights(self) -> bool:
        """Whether it needs other weights than the net that it was condensed from."""
        before = {id(blob) for layer in self.origin for blob in layer.blobs}
        return any(id(blob) not in before for layer in self.net for blob in layer.blobs)

    def __str__(self) -> str:
        """Give what `ristretto quantize` prints: the trials, the formats, the score."""
        return terminal.as_text(terminal.quantized(self.found))

    def _told(self) -> str:
        widths = "/".join(str(width) for width in self.bits.values()) or "own widths for every layer"
        found = self.result
        return (
            f"{widths}{' bits' if self.bits else ''}; {found.score_blob} {found.score.value:.4f}, in float "
            f"{found.baseline.value:.4f}; the margin {'holds' if found.within_margin else 'is missed'}"
        )


@dataclass(frozen=True, eq=False, repr=False)
class FinetunedModel(Model):
    """A net after a training, with its float weights, as `Model.finetune` gives it.

    Parameters
    ----------
    scores : tuple of Scores
        Of the solver's test nets, at the end.
    """

    scores: tuple[Scores, ...] = ()

    def _told(self) -> str:
        return f"{super()._told()}; {', '.join(map(repr, self.scores)) or 'not scored'}"


def load(model: str | Path, weights: str | Path | None = None) -> Model:
    """Read a net.

    Parameters
    ----------
    model : path
        A prototxt, quantized or not.
    weights : path or None
        A caffemodel; without it the net can be looked at, and not run.

    Raises
    ------
    RistrettoError
        Whatever is wrong with the files: one line that says what and where, and a note with what to do.

    Examples
    --------
    >>> import ristretto
    >>> ristretto.load("models/lenet/deploy.prototxt", "models/lenet/lenet.caffemodel").name
    'LeNet'
    """
    source, net = api.load(model, weights)
    return Model(source, net, tuple(Path(file) for file in (model, weights) if file is not None))


def _phase(name: str) -> Phase:
    return chosen("phase", name, {phase.value: phase for phase in Phase})
