"""Rounds of self-training: what is added and where it comes from, what is kept apart, what it costs, when it ends."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.engine.local import LocalEngine
from seedbed.model import counts
from seedbed.model.shape import ModelShape
from seedbed.pipeline import data, models
from seedbed.pipeline.augmenting import ModelWriter, Round, rounds
from seedbed.pipeline.material import Material
from seedbed.pipeline.training import run_all
from seedbed.pipeline.workplace import Workplace
from seedbed.recipes import demo
from seedbed.select.augmenters.afrolm import AfroLM
from seedbed.select.augmenting import BEGUN, FROZEN, READ, Corpus, Writer
from seedbed.tokenize.run import Pool, make_tokenizer, tokenize
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from seedbed.train.plan import Checkpoints

WORDS = {"en": "the cat sat on a mat and saw the dog run home", "yo": "ologbo joko lori eni o si ri aja to n sare"}
METHOD = AfroLM(rounds=2)
BUDGET, DOCUMENTS = 4096, 60


def write_corpus(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    lines: list[str] = []
    for language, words in WORDS.items():
        texts = [" ".join(np.resize(np.roll(words.split(), -at), 24)) for at in rng.integers(0, 11, DOCUMENTS)]
        texts = [f"{rng.integers(1000)} {text}" for text in texts]
        lines += [json.dumps({"text": text, "language": language, "source": f"{language} news"}) for text in texts]
    (folder / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "corpus.jsonl"


def material_of(place: Workplace, corpus: Path) -> Material:
    recipe = demo.recipe()
    assert recipe.train is not None
    documents = data.texts_into(place, recipe.curate, [corpus])
    tokenizer = make_tokenizer(ByteBpe(vocab_size=290), documents, place.store)
    pool = Pool(documents, tokenize(documents, tokenizer, place.store, place.engine))
    shape = ModelShape(vocab_size=290, d_model=16, n_layers=1, n_heads=2, context=96)
    checkpoints = Checkpoints(every_steps=100)
    plan = dataclasses.replace(recipe.train, shape=shape, tokens=BUDGET, batch_sequences=4, checkpoints=checkpoints)
    return Material(pool, None, tokenizer, dataclasses.replace(plan, learning_rate=1e-2))


@dataclasses.dataclass(frozen=True)
class Done:
    place: Workplace
    material: Material
    rounds: list[Round]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    folder = tmp_path_factory.mktemp("afrolm")
    with Workplace.open(folder / "out") as place:
        material = material_of(place, write_corpus(folder))
        yield Done(place, material, rounds(place, material, METHOD, budget_tokens=BUDGET, seed=3))


def uses(material: Material, one: Round) -> dict[bytes, int]:
    use_N = arrow.numpy(one.read.table(stem="use"), "use")
    return dict(zip(material.pool.index().column("id").to_pylist(), use_N.tolist(), strict=True))


def texts(material: Material) -> dict[str, str]:
    rows = material.pool.documents.table(["id", "text"]).to_pylist()
    return {row["id"]: row["text"] for row in rows}


def test_the_corpus_grows_by_what_was_new_among_what_was_begun(done: Done) -> None:
    before = done.material
    for one in done.rounds:
        begun = sum(use == BEGUN for use in uses(before, one).values())
        about = one.proposed.about
        assert about["begun"] == begun > 0
        assert one.proposed.rows == begun - about["empty"] - about["duplicates"] <= begun
        old, new = texts(before), texts(one.material)
        assert old.items() <= new.items()
        assert len(new) == len(old) + one.proposed.rows
        added = [new[key] for key in new.keys() - old.keys()]
        assert len({*added, *old.values()}) == len(added) + len(set(old.values())), "no text is there twice"
        assert (one.material.pool.n_tokens > before.pool.n_tokens) == (one.proposed.rows > 0)
        before = one.material
    assert [one.number for one in done.rounds] == [1, 2]
    assert done.rounds[0].proposed.rows > 0


def test_a_written_document_says_what_it_continues_in_which_round_and_by_which_model(done: Done) -> None:
    before = done.material
    for one in done.rounds:
        rows = before.pool.documents.table(["id", "language"]).to_pylist()
        languages = {row["id"]: row["language"] for row in rows}
        known, use = texts(before), uses(before, one)
        for row in one.proposed.table().to_pylist():
            about = json.loads(row["metadata"])
            assert row["source"] == "synthetic"
            assert about["synthetic"] is True
            assert (about["round"], about["method"]) == (one.number, "select.augmenters.afrolm")
            assert about["model"] == one.run.path.name
            parent = about["continues"]
            assert use[bytes.fromhex(parent)] == BEGUN, "the model was not trained on it"
            assert row["language"] == languages[parent]
            assert about["source"] == f"{row['language']} news", "also of one that continues a written one"
            beginning = " ".join(known[parent].split()[:17])  # of 21 words at least
            assert row["text"].startswith(beginning)
            assert row["text"] != known[parent]
        before = one.material


def greedy(one: Round, prefix: str, n_tokens: int) -> list[int]:
    """Token by token over the whole text: no cache, no sampler."""
    found = models.read(one.run.path)
    assert found.tokenizer_json is not None
    ids = [found.end_of_text, *Tokenizer.from_str(found.tokenizer_json).encode(prefix).ids]
    for _ in range(n_tokens):
        with torch.inference_mode():
            ids.append(int(found.decoder(torch.tensor([ids]))[0, -1].argmax()))
        if ids[-1] == found.end_of_text:
            break
    return ids


def test_the_end_is_the_models_likeliest_whatever_stood_there(done: Done) -> None:
    first = done.rounds[0]
    known = texts(done.material)
    sizes = dict(
        zip(*(done.material.pool.index().column(name).to_pylist() for name in ("id", "n_tokens")), strict=True)
    )
    tokenizer = Tokenizer.from_str(models.read(first.run.path).tokenizer_json)
    for row in first.proposed.table().to_pylist()[:6]:
        parent = json.loads(row["metadata"])["continues"]
        words = known[parent].split()
        prefix = " ".join(words[: len(words) - 4])  # 15 % of 25, rounded up
        n_tokens = -(-(sizes[bytes.fromhex(parent)] - 1) * 15 // 100)
        assert row["text"] == tokenizer.decode(greedy(first, prefix, n_tokens))


def test_what_is_frozen_is_never_read_nor_continued(done: Done) -> None:
    before, frozen = done.material, {bytes.fromhex(key) for key in texts_of_frozen(done)}
    assert len(frozen) == 2 * DOCUMENTS // 10
    for one in done.rounds:
        assert one.frozen == done.rounds[0].frozen
        assert {key for key, use in uses(before, one).items() if use == FROZEN} == frozen
        read = {row["id"]: row["copies"] for row in one.read.table(["id", "copies"]).to_pylist()}
        assert {key for key, copies in read.items() if copies} == {k for k, u in uses(before, one).items() if u == READ}
        whole = {row["id"]: row["copies"] for row in one.all_read.table(["id", "copies"]).to_pylist()}
        assert {key for key, copies in whole.items() if not copies} == frozen
        continued = {json.loads(text)["continues"] for text in one.proposed.table(["metadata"]).column(0).to_pylist()}
        assert not {bytes.fromhex(key) for key in continued} & frozen
        assert one.bits_per_byte is not None
        assert 0.5 < one.bits_per_byte < 8
        before = one.material


def texts_of_frozen(done: Done) -> list[str]:
    return done.rounds[0].frozen.table(["id"]).column("id").to_pylist()


def test_all_that_it_took_is_counted(done: Done) -> None:
    shape = done.material.plan.shape
    for one in done.rounds:
        steps = BUDGET // (4 * shape.context)
        assert one.cost.flops_auxiliary == steps * counts.training_flops(shape, 4, shape.context)
        assert 0 < one.cost.flops_forward == one.proposed.about["flops_write"]
    writer = ModelWriter(done.rounds[0].run.path)
    writer.write(["the cat sat"], [1])
    n_read = len(Tokenizer.from_str(models.read(done.rounds[0].run.path).tokenizer_json).encode("the cat sat").ids) + 1
    assert writer.cost.flops == counts.forward_flops(shape, 1, n_read), "the token that is written is not read again"
    writer.write(["the cat sat " * 100], [3 * shape.context])
    assert writer.cost.flops > 4 * counts.forward_flops(shape, 1, shape.context), "a full context is read in part again"


def test_asked_again_nothing_is_made_and_elsewhere_the_same(done: Done, tmp_path: Path) -> None:
    artifacts = done.place.out / "artifacts"
    there = sorted(path.name for path in artifacts.iterdir())
    again = rounds(done.place, done.material, METHOD, budget_tokens=BUDGET, seed=3)
    assert sorted(path.name for path in artifacts.iterdir()) == there
    assert [one.proposed for one in again] == [one.proposed for one in done.rounds]
    assert [one.cost for one in again] == [one.cost for one in done.rounds]
    with Workplace.open(tmp_path / "out", workers=2) as place:
        other = rounds(place, material_of(place, write_corpus(tmp_path)), METHOD, budget_tokens=BUDGET, seed=3)
    for here, elsewhere in zip(done.rounds, other, strict=True):
        assert here.proposed.path.name == elsewhere.proposed.path.name
        assert here.material.pool.fingerprint == elsewhere.material.pool.fingerprint
        assert here.proposed.table().equals(elsewhere.proposed.table())
        assert here.bits_per_byte == elsewhere.bits_per_byte


class Dying(LocalEngine):
    """Ends in the middle, after so many steps that had something to do."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def run(self, function: Any, tasks: Any, **told: Any) -> Any:
        self.steps -= bool(tasks)
        if self.steps < 0:
            raise KeyboardInterrupt
        return super().run(function, tasks, **told)


def test_a_run_that_dies_goes_on(done: Done, tmp_path: Path) -> None:
    corpus, deaths = write_corpus(tmp_path), 0
    with Workplace.open(tmp_path / "out") as place:
        material = material_of(place, corpus)
        while True:
            dying = dataclasses.replace(place, engine=Dying(2))
            try:
                found = rounds(dying, material, METHOD, budget_tokens=BUDGET, seed=3)
                break
            except KeyboardInterrupt:
                deaths += 1
                assert deaths < 20, "every attempt finishes something"
    assert deaths > 2
    assert [one.material.pool.fingerprint for one in found] == [one.material.pool.fingerprint for one in done.rounds]
    for here, there in zip(found, done.rounds, strict=True):
        assert here.proposed.table().equals(there.proposed.table())


def test_a_final_model_can_be_trained_on_what_became_of_it(done: Done) -> None:
    last = done.rounds[-1]
    task = last.material.task(done.place, "final", 0, done.material.plan, last.all_read)
    run = run_all([task], done.place.store, done.place.engine, "train")["final"]
    tokens = arrow.numpy(last.all_read.table(), "copies") @ arrow.numpy(last.all_read.table(), "n_tokens")
    assert run.about["epochs"] == pytest.approx(run.about["tokens"] / tokens)


@dataclasses.dataclass(frozen=True)
class Replay(AfroLM):
    """Proposes what is there, or the same text for all."""

    said: str = ""

    def propose(self, documents: DocumentBatch, writer: Writer) -> list[str]:
        del writer
        return [self.said or text for text in documents.texts()]


@dataclasses.dataclass(frozen=True)
class Thawing(AfroLM):
    """Freezes others in every round."""

    def split(self, corpus: Corpus, *, number: int, seed: int) -> np.ndarray:
        return super().split(corpus, number=number, seed=seed + number)


def test_duplicates_are_left_out(done: Done) -> None:
    [same] = rounds(done.place, done.material, Replay(rounds=1), budget_tokens=BUDGET, seed=3)
    assert same.proposed.rows == 0
    assert same.proposed.about["duplicates"] == same.proposed.about["begun"] > 0
    assert texts(same.material) == texts(done.material)
    [once] = rounds(done.place, done.material, Replay(rounds=1, said="only this"), budget_tokens=BUDGET, seed=3)
    assert [row["text"] for row in once.proposed.table().to_pylist()] == ["only this"]


def test_a_method_that_thaws_is_refused(done: Done) -> None:
    with pytest.raises(SeedbedError, match="round 2 keeps other documents apart"):
        rounds(done.place, done.material, Thawing(rounds=2), budget_tokens=BUDGET, seed=3)


def test_of_a_part_of_the_pool_only_that_part_grows(done: Done) -> None:
    part = done.material.resampled(1, 0.6)
    method = AfroLM(rounds=1, group="source")
    [one] = rounds(done.place, part, method, budget_tokens=BUDGET, seed=0)
    mine = {key.hex() for key in part.pool.index().column("id").to_pylist()}
    assert len(mine) < 2 * DOCUMENTS
    assert texts(one.material).keys() - mine == {row["id"] for row in one.proposed.table().to_pylist()}
    assert set(texts(one.material)) >= mine
    read = one.read.table(["id", "copies"]).to_pylist()
    assert not any(row["copies"] for row in read if row["id"].hex() not in mine)


def test_nothing_frozen_is_nothing_measured(done: Done) -> None:
    [one] = rounds(done.place, done.material, AfroLM(rounds=1, frozen=0.0), budget_tokens=BUDGET, seed=0)
    assert one.bits_per_byte is None
    assert one.frozen.rows == 0
