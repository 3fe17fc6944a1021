"""One step on each document: against gradients, against the loop itself, restored to the bit, and what it finds."""

import dataclasses
import pickle
import shutil

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models

from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.model import counts
from seedbed.model.checkpoint import load_model, save_model
from seedbed.model.gradients import gradient_of
from seedbed.model.language_model import LanguageModel
from seedbed.model.transformer import initial_model
from seedbed.stats.auc import rank_auc
from seedbed.train.contract import Optimizer
from seedbed.train.optimizers.muon import Muon
from seedbed.train.plan import Phase
from seedbed.train.probing import Standing, StepProbe, open_probe
from seedbed.train.run import train
from tests.train.killed_run import CONTEXT, plan
from tests.train.markov_language import END, VOCAB, documents, source, transitions

HALFWAY = 12 * 4 * CONTEXT


@dataclasses.dataclass(frozen=True)
class Sgd(Optimizer):
    """The step whose effect is known to first order."""

    def build(self, weights):
        group = {"params": [weight.parameter for weight in weights], "lr_scale": 1.0}
        return torch.optim.SGD([group], lr=0.0)


def batch_of(pieces: list[np.ndarray]) -> DocumentBatch:
    offsets = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])]).astype(np.int64)
    flat = np.concatenate([np.zeros(0, np.uint16), *pieces])
    return DocumentBatch(DocumentBatch.of([str(i) for i in range(len(pieces))]).rows, (flat, offsets))


def of_chain(count: int, seed: int, salt: int = 0) -> DocumentBatch:
    """Documents of the chain `salt`, a whole context each."""
    flat = np.concatenate(documents(4 * count, seed, transitions(salt)))
    return batch_of([flat[i * CONTEXT : (i + 1) * CONTEXT] for i in range(count)])


def noise(count: int, seed: int) -> DocumentBatch:
    rng = np.random.default_rng(seed)
    return batch_of(list(rng.integers(0, VOCAB, (count, CONTEXT)).astype(np.uint16)))


def both(*batches: DocumentBatch) -> DocumentBatch:
    return batch_of([piece for batch in batches for piece in pieces_of(batch)])


def pieces_of(batch: DocumentBatch) -> list[np.ndarray]:
    ids, offsets = batch.token_ids
    return [ids[offsets[i] : offsets[i + 1]] for i in range(len(batch))]


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1])


def everything(probe: StepProbe) -> list[bytes]:
    """All bytes that a step may change: weights, moments, counters, rates."""
    held = probe._opened()
    found = [parameter.detach().numpy().tobytes() for parameter in held._model.parameters()]
    optimizer = held._stepper.optimizer
    for entry in optimizer.state.values():
        found.extend(key.encode() + np.asarray(entry[key]).tobytes() for key in sorted(entry))
    return [*found, repr([group["lr"] for group in optimizer.param_groups]).encode()]


@pytest.fixture(scope="module")
def halfway(tmp_path_factory):
    """A run of stages after its first: its folder, as the loop was given it."""
    folder = tmp_path_factory.mktemp("run") / "state"
    train(plan(), source(60, context=CONTEXT), seed=3, folder=folder, until_tokens=HALFWAY)
    return folder


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A model that knows both chains a little."""
    longer = plan(tokens=200 * 4 * CONTEXT)
    sources = {"a": source(300, context=CONTEXT, name="a"), "b": source(300, context=CONTEXT, name="b", salt=5)}
    mixed = dataclasses.replace(longer, mixture=(Phase({"a": 0.5, "b": 0.5}),))
    folder = tmp_path_factory.mktemp("learnt") / "state"
    train(mixed, sources, seed=1, folder=folder, until_tokens=80 * 4 * CONTEXT)
    return Standing(folder, mixed, END)


def test_a_probe_is_the_next_step_of_the_loop_itself(tmp_path):
    """The loop goes on for one step on a batch of one sequence: the same document, and the same loss behind it."""
    alone = plan(batch_sequences=1, tokens=24 * CONTEXT)
    chain = source(60, context=CONTEXT)
    first = train(alone, chain, seed=3, folder=tmp_path / "a", until_tokens=22 * CONTEXT)
    reference = of_chain(6, 8)
    reading = chain.reading(22).tokens
    probe = StepProbe(Standing(tmp_path / "a", alone, int(reading[0])))
    found = probe.losses_after_step(batch_of([reading[1:].astype(np.uint16)]), reference)

    after = train(alone, chain, seed=3, folder=tmp_path / "b", continue_from=tmp_path / "a", until_tokens=23 * CONTEXT)
    ids, offsets = reference.token_ids
    wanted = LanguageModel(after.model, int(reading[0])).token_losses(ids, offsets).mean(dtype=np.float64)
    assert first.state.step == 22
    assert after.state.step == 23
    assert found[0] == pytest.approx(float(wanted), abs=1e-7)
    assert abs(found[0] - probe.loss(reference)) > 1e-5
    assert probe.learning_rate == after.log["learning_rate"].to_pylist()[-1] < 0.9e-2, "the schedule is on its way down"


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("fresh", [False, True])
def test_all_is_as_before_to_the_bit_and_the_order_does_not_matter(tmp_path, optimizer, fresh):
    given = plan() if optimizer == "adamw" else plan(optimizer=Muon())
    train(given, source(60, context=CONTEXT), seed=3, folder=tmp_path, until_tokens=0 if fresh else HALFWAY)
    probe = StepProbe(Standing(tmp_path, given, END))
    reference, asked = of_chain(5, 9), both(of_chain(4, 10), batch_of([np.zeros(0, np.uint16)]), noise(3, 0))
    before, loss = everything(probe), probe.loss(reference)
    found = probe.losses_after_step(asked, reference)
    assert everything(probe) == before
    assert probe.learning_rate == (1e-2 if fresh else probe.learning_rate)
    assert probe.loss(reference) == loss
    assert found[4] == loss, "no tokens, no step"
    assert len(set(found.tolist())) == len(asked)
    order = np.random.default_rng(0).permutation(len(asked))
    turned = batch_of([pieces_of(asked)[i] for i in order])
    assert np.array_equal(probe.losses_after_step(turned, reference), found[order])
    there = pickle.loads(pickle.dumps(probe))  # noqa: S301 - its own bytes
    assert np.array_equal(there.losses_after_step(asked.one(2), reference), found[2:3])


def test_a_step_that_fails_leaves_nothing_behind(halfway, monkeypatch):
    probe = StepProbe(Standing(halfway, plan(), END))
    before = everything(probe)
    with pytest.raises(SeedbedError, match="token ids run from 3 to 9999"):
        probe.losses_after_step(batch_of([np.array([3, 9999], np.uint16)]), of_chain(2, 1))
    asked, answers = [], probe.loss

    def stop(reference):
        asked.append(reference)
        if len(asked) > 1:
            raise KeyboardInterrupt
        return answers(reference)

    monkeypatch.setattr(probe, "loss", stop)
    with pytest.raises(KeyboardInterrupt):
        probe.losses_after_step(of_chain(3, 2), of_chain(2, 1))
    assert everything(probe) == before


def first_order(standing: Standing, asked: DocumentBatch, reference: DocumentBatch) -> tuple[float, np.ndarray]:
    """(reference loss, -<gradient of the reference, gradient of each document>), from autograd."""
    model = load_model(sorted((standing.folder / "checkpoints").glob("step-*"))[-1])[0]

    def flat(pieces):
        total, n = torch.zeros(()), 0
        for piece in pieces:
            inputs = torch.tensor([[END, *piece[:-1].tolist()]])
            losses = torch.nn.functional.cross_entropy(model(inputs)[0], torch.tensor(piece.astype(np.int64)),
                                                       reduction="sum")  # fmt: skip
            total, n = total + losses, n + len(piece)
        return float(total.detach() / n), gradient_of(model, total / n).double()

    loss, by_reference = flat(pieces_of(reference))
    return loss, np.array([-float(by_reference @ flat([piece])[1]) for piece in pieces_of(asked)])


def test_small_steps_of_plain_descent_are_the_product_of_gradients(learnt, tmp_path):
    """The probe never forms a product: its change over the rate nears it, and the rest shrinks with the rate."""
    asked, reference = both(of_chain(10, 30), of_chain(10, 31, 5), noise(5, 2)), of_chain(20, 32)
    loss, slope_N = first_order(learnt, asked, reference)
    model = load_model(sorted((learnt.folder / "checkpoints").glob("step-*"))[-1])[0]
    errors = []
    for rate in (4e-4, 1.6e-3):
        given = dataclasses.replace(learnt.plan, optimizer=Sgd(), learning_rate=rate, grad_clip=0.0)
        given = dataclasses.replace(given, mixture=())
        train(given, source(5, context=CONTEXT), seed=1, folder=tmp_path / str(rate), init=model, until_tokens=0)
        probe = StepProbe(Standing(tmp_path / str(rate), given, END))
        assert probe.learning_rate == rate
        change_N = probe.losses_after_step(asked, reference) - loss
        assert np.corrcoef(change_N, slope_N)[0, 1] > 0.99
        errors.append(float(np.abs(change_N / rate - slope_N).mean() / np.abs(slope_N).mean()))
    assert errors[0] < 0.05
    assert errors[1] / errors[0] == pytest.approx(4, rel=0.3)


def test_steps_of_adam_with_its_moments_rank_as_gradients_do(learnt):
    asked, reference = both(of_chain(25, 40), of_chain(25, 41, 5)), of_chain(30, 42)
    _, slope_N = first_order(learnt, asked, reference)
    found = StepProbe(learnt).losses_after_step(asked, reference)
    assert spearman(found, slope_N) > 0.8


def test_documents_of_the_references_kind_are_told_from_others_and_noise(learnt):
    mine, other, random = of_chain(25, 50), of_chain(25, 51, 5), noise(25, 3)
    asked, is_mine = both(mine, other, random), np.arange(75) < 25
    probe = StepProbe(learnt)
    found = -probe.losses_after_step(asked, of_chain(30, 52))
    assert rank_auc(found[:50], is_mine[:50]) > 0.9
    assert rank_auc(found[is_mine | (np.arange(75) >= 50)], np.arange(50) < 25) > 0.9
    turned = -probe.losses_after_step(asked, of_chain(30, 53, 5))
    assert rank_auc(turned[:50], is_mine[:50]) < 0.1, "a reference of the other kind turns the ranking"


def test_halves_of_the_reference_agree(learnt):
    asked, reference = both(of_chain(20, 60), of_chain(20, 61, 5), noise(10, 4)), pieces_of(of_chain(60, 62))
    probe = StepProbe(learnt)
    first, second = (probe.losses_after_step(asked, batch_of(reference[i::2])) for i in (0, 1))
    assert spearman(first, second) > 0.8


def test_costs_are_steps_and_reference_passes(halfway):
    probe = StepProbe(Standing(halfway, plan(), END))
    reference, asked = batch_of([np.ones(CONTEXT, np.uint16)] * 2), batch_of([np.ones(n, np.uint16) for n in (4, 99)])
    probe.losses_after_step(asked, reference)
    shape = plan().shape
    steps = counts.forward_flops(shape, 1, 4) + counts.forward_flops(shape, 1, CONTEXT)
    assert probe.cost.flops_backward == pytest.approx(2 * steps)
    assert probe.cost.flops_forward == pytest.approx(steps + 3 * counts.forward_flops(shape, 2, CONTEXT))


def test_what_cannot_be_probed_is_said(halfway, tmp_path):
    with pytest.raises(SeedbedError, match="there is no checkpoint in it"):
        StepProbe(Standing(tmp_path, plan(), END)).loss(of_chain(1, 1))
    with pytest.raises(SeedbedError, match="a run of another plan"):
        StepProbe(Standing(halfway, plan(learning_rate=0.5), END)).loss(of_chain(1, 1))
    with pytest.raises(SeedbedError, match="the reference has no tokens"):
        StepProbe(Standing(halfway, plan(), END)).loss(batch_of([]))
    save_model(tmp_path, initial_model(plan().shape, 0))
    with pytest.raises(SeedbedError, match="holds no tokenizer that says"):
        open_probe(tmp_path / "state", plan())


def test_it_opens_beside_the_runs_model_and_its_tokenizer(halfway, tmp_path):
    words = {"a": 0, "<|endoftext|>": 7}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="a"))
    save_model(tmp_path, initial_model(plan().shape, 0), tokenizer.to_str())
    shutil.copytree(halfway, tmp_path / "state")
    probe = open_probe(tmp_path / "state", plan())
    assert probe.standing.end_of_text == 7
    assert np.isfinite(probe.losses_after_step(of_chain(1, 3), of_chain(2, 4))).all()
