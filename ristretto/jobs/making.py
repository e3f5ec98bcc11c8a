"""Making what a job asks for, in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from ristretto import __version__, api
from ristretto.api.loading import with_weights
from ristretto.caffe.reader import Model, model_of
from ristretto.jobs.inputs import Inputs, digest_of_bytes, planned_exports
from ristretto.jobs.job import FOLD, JSON, MODEL_QUANTIZED, REPORT, WEIGHTS_QUANTIZED, Job
from ristretto.jobs.lock import Entry, Scores
from ristretto.net import Net
from ristretto.passes import TrimWeights
from ristretto.report import front, page, plain, plot


@dataclass(frozen=True, eq=False)
class Made:
    """What a job has made.

    Parameters
    ----------
    files : mapping of str to bytes
        By path; those of a job's own keys first.
    scores : Scores
    """

    files: Mapping[str, bytes]
    scores: Scores

    def entry(self, job: Job, inputs: Inputs) -> Entry:
        """Give what a lock says of it."""
        outputs = {path: digest_of_bytes(content) for path, content in self.files.items()}
        return Entry(__version__, inputs, job.decisive_options, planned_exports(job), outputs, self.scores)


def make(job: Job, model: Model, watcher: api.Watcher) -> Made:
    """Make all files of a job; the current folder must be that of the job file.

    Parameters
    ----------
    job : Job
    model : Model
        Its prototxt.
    watcher : Watcher

    Raises
    ------
    RistrettoError
        Whatever is wrong with the files, the data or the options.
    """
    if job.pareto is not None:
        plot.require_matplotlib()
    result = api.quantize(model, job.inputs["weights"], **job.keywords, watcher=watcher)
    files = _own_files(job, result)
    if job.pareto is not None:
        files |= {str(path): content for path, content in front.files(job.pareto, result)}
    if job.exports:
        read, net = _reread(job, result)
        for each in job.exports:
            exported = api.export(read, net, each.kind, **each.keywords, watcher=watcher)
            for note in exported.notes:
                watcher.note(note)
            files |= {f"{each.out}/{name}" if name else each.out: content for name, content in exported.files.items()}
    return Made(files, Scores.of(result.result))


def _own_files(job: Job, result: api.Quantized) -> dict[str, bytes]:
    """Give the files that a job's own keys name."""

    @cache
    def told() -> str:
        # Once for the JSON and the page: it counts and trims all weights.
        return plain.text(plain.quantized(result))

    contents: Mapping[str, Callable[[], bytes]] = {
        MODEL_QUANTIZED: result.encoded,
        WEIGHTS_QUANTIZED: result.encoded_weights,
        FOLD: result.encoded_plain_weights,
        JSON: lambda: told().encode(),
        REPORT: lambda: page.render(page.read_text(told())),
    }
    return {path: contents[key]() for key, path in job.outputs.items()}


def _reread(job: Job, result: api.Quantized) -> tuple[Model, Net]:
    """Give the condensed net as it would be read from the files, which are not written yet."""
    read = model_of(result.text, job.outputs[MODEL_QUANTIZED])
    # Without a file for them, the float weights are those of the caffemodel that the job reads.
    held = TrimWeights()(result.net) if WEIGHTS_QUANTIZED in job.outputs else result.plain
    return read, with_weights(read.net, held)
