"""From the sources to the numbers of one step: which sequences come next, and what the objective makes of them.

What a batch holds is a pure function of the state's cursors and what is owed, so it may be made ahead of time, by any
number of threads, and by every process for its own rows: process r of W holds rows r, r + W, r + 2 W, ... of the batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from seedbed.core.errors import RecipeError
from seedbed.core.fingerprint import hash_bytes
from seedbed.train.contract import Example, IntArray, Progress, Reading, Source
from seedbed.train.mixture import Draw, asked_shares, draw
from seedbed.train.plan import TrainPlan


@dataclasses.dataclass(frozen=True)
class Job:
    """One step's sequences, by source and index.

    Args:
        at: the middle of the step.
        asked: shares that were asked for.
        draw: the sequences of the global batch.
        cursors: source -> tokens read, when the step is done.
    """

    at: Progress
    asked: Mapping[str, float]
    draw: Draw
    cursors: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class Arrays:
    """The rows of one process, (b, T) each, and what the job was."""

    job: Job
    inputs: IntArray
    targets: IntArray
    weight: npt.NDArray[np.float32]
    document: IntArray | None
    hashed: str


@dataclasses.dataclass(frozen=True)
class Reader:
    """Makes batches of a run.

    Args:
        plan, sources, seed: of the run.
        rank, size: this process, and how many there are.
    """

    plan: TrainPlan
    sources: Mapping[str, Source]
    seed: int
    rank: int = 0
    size: int = 1

    def jobs(self, tokens: int, cursors: Mapping[str, int], owed: Mapping[str, int], steps: int) -> Iterator[Job]:
        """The next `steps` jobs of a run that stands there."""
        read: dict[str, int] = {name: cursors.get(name, 0) for name in self.sources}
        for _ in range(steps):
            at = self.plan.at(tokens + self.plan.batch_tokens // 2)
            asked = asked_shares(self.plan, list(self.sources), at)
            drawn = draw(asked, self.plan.sequences, owed, self._indices(read))
            read = {name: read[name] + n * self.sources[name].stride for name, n in drawn.drawn.items()}
            yield Job(at, asked, drawn, read)
            owed, tokens = drawn.owed, tokens + self.plan.batch_tokens

    def _indices(self, cursors: Mapping[str, int]) -> dict[str, int]:
        return {name: cursor // self.sources[name].stride for name, cursor in cursors.items()}

    def arrays(self, job: Job) -> Arrays:
        """The rows of this process: a pure function."""
        mine = job.draw.rows[self.rank :: self.size]
        examples = [self._example(name, index) for name, index in mine]
        inputs, targets = np.stack([e.inputs for e in examples]), np.stack([e.targets for e in examples])
        weight = np.stack([e.weight for e in examples])
        document = np.stack([self._document(e) for e in examples]) if self.plan.document_mask else None
        return Arrays(job, inputs, targets, weight, document, self.hashed(job.draw.rows[0]))

    def _example(self, name: str, index: int) -> Example:
        reading = self.sources[name].reading(index)
        key = hash_bytes(name.encode(), self.seed.to_bytes(16, "little", signed=True), index.to_bytes(8, "little"))
        example = self.plan.objective.example(reading, int.from_bytes(key[:8], "little"))
        if self.plan.document_mask and example.document is None and len(example.inputs) == len(reading.tokens) - 1:
            return dataclasses.replace(example, document=documents_of(reading))
        return example

    def _document(self, example: Example) -> IntArray:
        if example.document is None:
            what = f"{self.plan.objective.name()} lays documents anew, so attention cannot stay inside them"
            raise RecipeError("train.plan.document_mask", what, "Set it to false.")
        return example.document

    def hashed(self, row: tuple[str, int]) -> str:
        """Tells when the data under a run has changed: the tokens of the first sequence of a batch."""
        name, index = row
        return hash_bytes(name.encode(), self.sources[name].reading(index).tokens.tobytes()).hex()

    def documents(self, job: Job) -> list[str]:
        """Ids of the documents of the global batch, each once."""
        found = (document.hex() for name, index in job.draw.rows for document in self.sources[name].documents(index))
        return list(dict.fromkeys(found))


def documents_of(reading: Reading) -> IntArray:
    """(T,) number of the document each input belongs to: that of its target, so that the token which ends one document
    stands at the head of the next, as it does when a document is scored alone."""
    return np.searchsorted(reading.begin_P, np.arange(1, len(reading.tokens)), side="right").astype(np.int64)
