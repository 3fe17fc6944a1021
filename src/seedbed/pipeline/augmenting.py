"""Augmenting: rounds of training a fresh model, letting it write, and adding what it wrote to the corpus.

Every round leaves artifacts: who is read (Weights), the model (Run), what it wrote (Documents, duplicates left out) and
the corpus with it (Documents and Tokens). A written document has the source "synthetic", and its metadata say which
document it continues, in which round and by which model.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request
from seedbed.core.cost import Cost
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import hash_bytes, library_versions
from seedbed.core.nouns import DOCUMENTS, DocumentBatch
from seedbed.core.parameters import Json
from seedbed.curate.tasks import KEPT
from seedbed.engine.contract import Tick
from seedbed.evaluate.tasks.bits_per_byte import BitsPerByte
from seedbed.model import counts
from seedbed.pipeline.choose import about_weights
from seedbed.pipeline.material import Material, whole_table
from seedbed.pipeline.scoring import score_runs
from seedbed.pipeline.training import run_all
from seedbed.pipeline.workplace import Workplace
from seedbed.recipe import EvaluatePlan
from seedbed.select.augmenting import BEGUN, FROZEN, READ, Augmenter, Corpus
from seedbed.select.contract import joined
from seedbed.stats.sampling import keys_of
from seedbed.text.words.scripts import script_words
from seedbed.tokenize.encode import Encoder
from seedbed.tokenize.run import Pool, tokenize

if TYPE_CHECKING:
    from seedbed.model.transformer import Decoder

SYNTHETIC = "synthetic"
"""Source of a document that a model wrote."""
DOCUMENTS_A_TASK = 128


@dataclasses.dataclass(frozen=True)
class Round:
    """One round, done.

    Args:
        number: counted from 1.
        read: Weights of what its model was trained on; beside them, in `use-00000.parquet`, the use of each document.
        run: its model.
        proposed: Documents that were added. Its `about` tells how many were begun, and how many of the texts were
            empty or in the corpus already.
        material: with the corpus as it is after this round.
        all_read: Weights that read all of that corpus but what is frozen, for a final model.
        frozen: Documents that no round reads or continues, of the first corpus.
        bits_per_byte: of the round's model on these; None where nothing is frozen.
        cost: FLOP of training the round's model, as auxiliary, and of writing, as forward.
    """

    number: int
    read: Artifact
    run: Artifact
    proposed: Artifact
    material: Material
    all_read: Artifact
    frozen: Artifact
    bits_per_byte: float | None
    cost: Cost


def rounds(place: Workplace, material: Material, method: Augmenter, *, budget_tokens: int, seed: int) -> list[Round]:
    """All rounds; those that were done are found.

    Args:
        place, material: where, and the corpus that grows. The tokenizer stays as it is.
        method: who splits and proposes.
        budget_tokens: what each round's model is trained on.
        seed: of the splits, of the models' starts and of the order of reading.

    Raises SeedbedError where the method freezes other documents than in the round before.
    """
    plan = dataclasses.replace(material.plan, tokens=budget_tokens)
    done: list[Round] = []
    for number in range(1, method.rounds + 1):
        step = _Step(place, done[-1].material if done else material, method, number, seed)
        read = step.read()
        frozen = step.documents_of(read, FROZEN)
        if done and frozen != step.documents_of_frozen(done[0].frozen):
            what = f"round {number} keeps other documents apart than the first"
            raise SeedbedError(method.path(), what, "Draw what is frozen from the seed and the ids alone.")
        kept_apart = done[0].frozen if done else step.frozen(read)
        label = f"{method.name()}-seed{seed}-round{number}"
        task = step.material.task(place, label, seed, plan, read)
        run = run_all([task], place.store, place.engine, f"train the model of round {number}")[label]
        proposed = step.proposed(read, run)
        grown = step.grown(proposed)
        writing = cast(float, proposed.about["flops_write"])
        cost = Cost(flops_forward=writing, flops_auxiliary=cast(float, run.about["flops_train"]))
        after = dataclasses.replace(step, material=grown).all_read(kept_apart)
        bits = _bits_per_byte(place, run, kept_apart)
        done.append(Round(number, read, run, proposed, grown, after, kept_apart, bits, cost))
    return done


def _bits_per_byte(place: Workplace, run: Artifact, frozen: Artifact) -> float | None:
    if not frozen.rows:
        return None
    plan = EvaluatePlan(texts={"frozen": ""}, target="frozen", task=BitsPerByte())
    return score_runs(place, [run], {"frozen": frozen}, plan)[run.path.name]["frozen"].bits_per_byte


@dataclasses.dataclass(frozen=True)
class _Step:
    """One round at work."""

    place: Workplace
    material: Material
    method: Augmenter
    number: int
    seed: int

    def read(self) -> Artifact:
        """Weights of what is read, and the use of each document that is walked."""
        pool = self.material.pool
        identity: dict[str, Json] = {**self.method.identity(), "round": self.number, "seed": self.seed}

        def fill(draft: Draft) -> dict[str, Json]:
            use_N = self.method.split(_corpus(pool, self.method.group), number=self.number, seed=self.seed)
            copies_N = (use_N == READ).astype(np.float64)
            draft.write_table("use-00000.parquet", arrow.table({"use": use_N.astype(np.int64)}))
            draft.write_table("part-00000.parquet", whole_table(pool, copies_N))
            return about_weights(copies_N, arrow.numpy(pool.index(), "n_tokens").astype(np.int64))

        label = f"{self.method.name()}-seed{self.seed}-round{self.number}"
        return self.place.store.make(Request("Weights", label, identity, {"tokens": pool.fingerprint}), fill)

    def documents_of(self, read: Artifact, use: int) -> set[bytes]:
        """Ids of the documents of a use."""
        use_N = arrow.numpy(read.table(stem="use"), "use")
        return {ids.tobytes() for ids in arrow.ids(self.material.pool.index())[use_N == use]}

    @staticmethod
    def documents_of_frozen(frozen: Artifact) -> set[bytes]:
        """Ids of the documents that were frozen at first."""
        return {bytes.fromhex(key or "") for key in arrow.strings(frozen.table(["id"]), "id")}

    def frozen(self, read: Artifact) -> Artifact:
        """The documents that are kept apart."""
        wanted = self.documents_of(read, FROZEN)

        def fill(draft: Draft) -> dict[str, Json]:
            def write(file: Path) -> int:
                with arrow.ParquetStream(file, KEPT) as out:
                    for batch in self.material.pool:
                        rows = np.array([i for i, key in enumerate(batch.ids) if key in wanted], np.int64)
                        out.add(_kept(batch.some(rows)))
                return out.rows

            draft.write("part-00000.parquet", write)
            return {}

        label = f"{self.method.name()}-seed{self.seed}-frozen"
        return self.place.store.make(Request("Documents", label, {}, {"read": read.fingerprint}), fill)

    def all_read(self, frozen: Artifact) -> Artifact:
        """Weights of the whole corpus but what is frozen."""
        pool = self.material.pool
        wanted = self.documents_of_frozen(frozen)

        def fill(draft: Draft) -> dict[str, Json]:
            ids = cast("list[bytes]", pool.index().column("id").to_pylist())
            copies_N = np.array([0.0 if key in wanted else 1.0 for key in ids])
            draft.write_table("part-00000.parquet", whole_table(pool, copies_N))
            return about_weights(copies_N, arrow.numpy(pool.index(), "n_tokens").astype(np.int64))

        parents = {"tokens": pool.fingerprint, "frozen": frozen.fingerprint}
        label = f"{self.method.name()}-seed{self.seed}-all{self.number}"
        return self.place.store.make(Request("Weights", label, {}, parents), fill)

    def proposed(self, read: Artifact, run: Artifact) -> Artifact:
        """What the round's model wrote and the corpus lacks; `written-*.parquet` hold all that it wrote."""
        identity: dict[str, Json] = {**self.method.identity(), "round": self.number}
        identity["libraries"] = library_versions("torch", "tokenizers")
        parents = {"read": read.fingerprint, "run": run.fingerprint}

        def fill(draft: Draft) -> dict[str, Json]:
            tasks = self._tasks(read, run, draft)
            total = sum(len(task.id_M16) for task in tasks)
            flops = self.place.engine.run(write_some, tasks, label="write", total=total, unit="documents")
            tables = [arrow.read_parquet(draft.path / task.name) for task in tasks]
            rows, told = self._new(arrow.concat(tables, DOCUMENTS))
            draft.write_table("part-00000.parquet", _kept(DocumentBatch(rows)))
            return {**told, "flops_write": sum(flops)}

        label = f"{self.method.name()}-seed{self.seed}-written{self.number}"
        return self.place.store.make(Request("Documents", label, identity, parents), fill)

    def _tasks(self, read: Artifact, run: Artifact, draft: Draft) -> list[WriteTask]:
        begun = np.frombuffer(b"".join(sorted(self.documents_of(read, BEGUN))), np.uint8).reshape(-1, 16)
        found: list[WriteTask] = []
        for shard in self.material.pool.shard_names():
            id_N16 = arrow.ids(self.material.pool.shard_index(shard))
            mine_M16 = id_N16[arrow.ids_in(id_N16, begun)]
            for at in range(0, len(mine_M16), DOCUMENTS_A_TASK):
                some = mine_M16[at : at + DOCUMENTS_A_TASK]
                name = f"written-{len(found):05d}.parquet"
                found.append(WriteTask(name, shard, some, self.material, self.method, self.number, run.path, draft))
        return found

    def _new(self, written: Any) -> tuple[Any, dict[str, Json]]:
        """The rows whose text is neither empty, nor in the corpus, nor that of a row before; and how many are not."""
        known = {_digest(text) for batch in self.material.pool for text in batch.texts()}
        fresh: list[int] = []
        empty = 0
        for row, text in enumerate(arrow.strings(written, "text")):
            if not text:
                empty += 1
            elif (digest := _digest(text)) not in known:
                known.add(digest)
                fresh.append(row)
        told: dict[str, Json] = {"begun": written.num_rows, "empty": empty}
        told["duplicates"] = written.num_rows - empty - len(fresh)
        return arrow.take(written, np.array(fresh, np.int64)), told

    def grown(self, proposed: Artifact) -> Material:
        """The corpus with what was proposed, tokenised."""
        pool = self.material.pool
        parents = {"documents": pool.documents.fingerprint, "walked": pool.fingerprint}
        request = Request("Documents", "augmented", {}, {**parents, "proposed": proposed.fingerprint})

        def fill(draft: Draft) -> dict[str, Json]:
            names = pool.shard_names()
            for at, shard in enumerate(names):

                def write(file: Path, shard: str = shard) -> int:
                    with arrow.ParquetStream(file, KEPT) as out:
                        for batch in pool.shard(shard):
                            out.add(_kept(batch))
                    return out.rows

                draft.write(f"part-{at:05d}.parquet", write)
            draft.write_table(f"part-{len(names):05d}.parquet", proposed.table())
            return {}

        documents = self.place.store.make(request, fill)
        tokens = tokenize(documents, self.material.tokenizer, self.place.store, self.place.engine)
        return dataclasses.replace(self.material, pool=Pool(documents, tokens))


def _corpus(pool: Pool, group: str) -> Corpus:
    """The documents that are walked, as an augmenter sees them."""
    groups: list[str] = []
    synthetic: list[bool] = []
    n_words: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)]
    for batch in pool:
        wrote = [source == SYNTHETIC for source in batch.column("source")]
        synthetic += wrote
        names = batch.column(group)
        if group == "source":
            names = [_source(*row) for row in zip(names, batch.column("metadata"), strict=True)]
        groups += names
        n_words.append(batch.derive(script_words).per_document)
    key_N = keys_of(cast("list[bytes]", pool.index().column("id").to_pylist()))
    return Corpus(np.array(groups, object), key_N, np.concatenate(n_words), np.array(synthetic, np.bool_))


def _source(source: str, metadata: str) -> str:
    """Of a document that a model wrote, the source of the one it goes back to."""
    return str(json.loads(metadata).get("source", source)) if source == SYNTHETIC and metadata else source


def _digest(text: str) -> bytes:
    return hash_bytes(text.encode("utf-8", "surrogatepass"))


def _kept(batch: DocumentBatch) -> Any:
    """Rows of schema KEPT."""
    columns: dict[str, Any] = {name: batch.rows.column(name) for name in DOCUMENTS.names}
    return arrow.table({**columns, "id": arrow.hex_column(arrow.ids(batch.rows))}, KEPT)


@dataclasses.dataclass(frozen=True)
class WriteTask:
    """Let a model continue some documents of a shard."""

    name: str
    shard: str
    id_M16: npt.NDArray[np.uint8]
    material: Material
    method: Augmenter
    number: int
    model: Path
    draft: Draft


def write_some(task: WriteTask, tick: Tick) -> float:
    """Writes the task's table, a row a document that was begun; gives the FLOP it took."""
    note = task.draft.receipt(task.name)
    if note is None:
        batches = task.material.pool.shard(task.shard)
        some = [batch.some(np.flatnonzero(arrow.ids_in(arrow.ids(batch.rows), task.id_M16))) for batch in batches]
        documents = joined(some)
        writer = ModelWriter(task.model, tick)
        table = _written(documents, task.method.propose(documents, writer), task)
        note = task.draft.write_table(task.name, table, {"flops": writer.cost.flops})
    return cast("dict[str, float]", note["about"])["flops"]


def _written(documents: DocumentBatch, texts: Sequence[str], task: WriteTask) -> Any:
    """New documents that say where they come from; the text is empty where nothing was proposed."""
    metadata: list[str] = []
    ids: list[bytes] = []
    origin = zip(documents.ids, documents.column("source"), documents.column("metadata"), texts, strict=True)
    for parent, source, known, text in origin:
        ids.append(hash_bytes(parent, task.number.to_bytes(4, "little"), text.encode("utf-8", "surrogatepass")))
        about = {"synthetic": True, "method": task.method.path(), "round": task.number, "continues": parent.hex()}
        about |= {"source": _source(source, known), "model": task.model.name}
        metadata.append(json.dumps(about, ensure_ascii=False))
    blank = [""] * len(texts)
    columns: dict[str, Any] = {"id": ids, "text": list(texts), "url": blank, "source": [SYNTHETIC] * len(texts)}
    columns |= {"language": documents.column("language"), "date": blank, "file": blank}
    columns |= {"offset": [0] * len(texts), "metadata": metadata}
    return arrow.table(columns, DOCUMENTS)


class ModelWriter:
    """A model by its folder, asked to go on with texts, one after the other."""

    def __init__(self, model: Path, tick: Tick = lambda _: None) -> None:
        from seedbed.model import runtime
        from seedbed.pipeline.models import read

        runtime.prepare()
        found = read(model)
        assert found.tokenizer_json is not None
        self._decoder: Decoder = found.decoder
        self._definition, self._end, self._tick = found.tokenizer_json, found.end_of_text, tick
        self._encoder = Encoder.open(model)
        self._cost = Cost()

    @property
    def cost(self) -> Cost:
        """FLOP of all that was read and written."""
        return self._cost

    def write(self, prefixes: Sequence[str], n_tokens: Sequence[int]) -> list[str]:
        """What follows each prefix by the likeliest token, at most so many tokens, or to the end of the text."""
        from seedbed.model.sampling import sample

        found: list[str] = []
        for prefix, n in zip(prefixes, n_tokens, strict=True):
            pieces = sample(
                self._decoder, self._definition, prefix, max_tokens=n, temperature=0.0, end_of_text=self._end
            )
            found.append("".join(pieces))
            self._cost += Cost(flops_forward=self._flops(prefix, n))
            self._tick(1)
        return found

    def _flops(self, prefix: str, n_tokens: int) -> float:
        """Of reading the prefix and n tokens, as if no text ended early; a full context is half read again."""
        shape = self._decoder.shape
        begun = min(len(self._encoder.encode(*DocumentBatch.of([prefix]).text_buffers())[0]), shape.context)
        half = shape.context // 2
        rereads = max(0, -(-(begun + n_tokens - 1 - shape.context) // (shape.context - half)))
        length = min(begun + n_tokens - 1, shape.context)
        return counts.forward_flops(shape, 1, length) / length * (begun + n_tokens - 1 + rereads * half)
