"""WordFiles: exports that hold weights, and golden vectors, as words."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ristretto.export.archive import npz
from ristretto.export.base import Exported, Exporter, Subject
from ristretto.export.golden import golden_vectors
from ristretto.export.manifest import MANIFEST, Place, Vectors, content_of, manifest
from ristretto.export.table import Table
from ristretto.export.word_layers import WordLayer, words_of

GOLDEN = "golden"


@dataclass(frozen=True, eq=False)
class Written:
    """Files, and where in them each table stands.

    Parameters
    ----------
    files : mapping of str to bytes
        By path within the export's folder.
    places : mapping of str to tuple of Place
        By the tables' keys.
    """

    files: Mapping[str, bytes]
    places: Mapping[str, tuple[Place, ...]]

    @classmethod
    def archive(cls, path: str, tables: Sequence[Table]) -> Written:
        """Give all tables as one archive of numpy."""
        content = npz({table.key: table.array for table in tables})
        return cls({path: content}, {table.key: (Place(path, "npz", table.key),) for table in tables})

    @classmethod
    def memories(cls, folder: str, tables: Sequence[Table], kinds: Mapping[str, MemoryFile]) -> Written:
        """Give each table as a file of its own, of each kind.

        Parameters
        ----------
        folder : str
            Within the export's, with a slash at the end; may be empty.
        tables : sequence of Table
        kinds : mapping of str to MemoryFile
            By what a `Place` calls them.
        """
        files: dict[str, bytes] = {}
        places: dict[str, tuple[Place, ...]] = {}
        for table in tables:
            own = {f"{folder}{table.key}.{made.suffix}": (kind, made) for kind, made in kinds.items()}
            files |= {path: made.content(table) for path, (_, made) in own.items()}
            places[table.key] = tuple(Place(path, kind) for path, (kind, _) in own.items())
        return cls(files, places)


@dataclass(frozen=True)
class MemoryFile:
    """A kind of file that initialises a memory: what its name ends in, and what it holds for a table."""

    suffix: str
    content: Callable[[Table], bytes]


class WordFiles(Exporter):
    """An export of words in files of some kind, with a manifest that says what they mean."""

    @abstractmethod
    def write(self, layers: Sequence[WordLayer]) -> Written:
        """Give the files of the layers' weights and biases."""

    def write_golden(self, tables: Sequence[Table]) -> Written:
        """Give the files of golden vectors; by default one archive of numpy."""
        return Written.archive(f"{GOLDEN}.npz", tables)

    def export(self, subject: Subject) -> Exported:
        """Give weights, golden vectors where there are pictures, and the manifest.

        Raises
        ------
        ModelError
            When the net has no layer whose words are integers, or its weights are missing, do not fit or hold NaN.
        """
        words = words_of(subject)
        weights = self.write(words.layers)
        files, places, notes, vectors = dict(weights.files), dict(weights.places), [*words.notes], None
        if subject.pictures is not None:
            golden = golden_vectors(subject, words.layers)
            written = self.write_golden(golden.tables)
            files |= written.files
            places |= written.places
            notes += golden.notes
            vectors = Vectors(golden.pictures, golden.tables)
        told = manifest(self.name, subject, words, files, places, vectors, notes)
        return Exported({**files, MANIFEST: content_of(told)}, tuple(notes))
