"""Stages: a new schedule over old weights, replay that goes on where it was left, and annealed ends that stay ends."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import fingerprint
from seedbed.model.transformer import initial_model
from seedbed.model.weights import weights_of
from seedbed.train.distributed import load_full_optimizer
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.optimizers.muon import Muon
from seedbed.train.plan import Checkpoints, Phase, TrainPlan
from seedbed.train.run import Report, TrainResult, train
from seedbed.train.schedules.constant import Constant
from seedbed.train.schedules.cosine import Cosine
from seedbed.train.schedules.infinite import Infinite
from seedbed.train.schedules.warmup_stable_decay import WarmupStableDecay
from seedbed.train.snapshot import read_snapshot
from seedbed.train.source import TokenSource
from tests.conftest import examples
from tests.train.killed_run import CONTEXT, plan
from tests.train.markov_language import END, VOCAB, documents, entropy, ids, shards, source
from tests.train.test_training import StopError, same, stop_at

BATCH = 4 * CONTEXT
SHARE = 0.05
REPLAY = (Phase({"new": 1 - SHARE, "old": SHARE}),)


def old(**about) -> TokenSource:
    return source(60, context=CONTEXT, name="old", **about)


def new(name: str = "new", salt: int = 7) -> TokenSource:
    return source(60, context=CONTEXT, name=name, salt=salt)


def first_plan(steps: int = 12, **about) -> TrainPlan:
    """A stage on the old text, with checkpoints at every third step."""
    return plan(tokens=steps * BATCH, schedule=Cosine(), checkpoints=Checkpoints(every_steps=3, keep_last=9), **about)


def second_plan(steps: int = 14, **about) -> TrainPlan:
    """A stage on new text with a little of the old."""
    given = {"schedule": Cosine(warmup_fraction=0.2), "mixture": REPLAY, "learning_rate": 5e-3}
    return plan(tokens=steps * BATCH, checkpoints=Checkpoints(every_steps=4, keep_last=9), **{**given, **about})


def first(folder: Path, observe=None, **about) -> TrainResult:
    return train(first_plan(**about), old(), seed=3, folder=folder, observe=observe)


def second(folder: Path, parent: Path, observe=None, asked: TrainPlan | None = None, **about) -> TrainResult:
    sources = {"new": new(), "old": old()}
    return train(asked or second_plan(), sources, seed=3, folder=folder, enter_from=parent, observe=observe, **about)


@pytest.fixture(scope="module")
def parent(tmp_path_factory) -> TrainResult:
    return first(tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def entered(parent, tmp_path_factory) -> TrainResult:
    """The second stage, never interrupted."""
    return second(tmp_path_factory.mktemp("second"), parent.folder.parents[1])


class Watched:
    """A source that remembers which readings it was asked for, each once, in order."""

    def __init__(self, inner: TokenSource) -> None:
        self.inner, self.name, self.stride = inner, inner.name, inner.stride
        self.asked: dict[int, None] = {}

    def reading(self, index: int):
        self.asked[index] = None
        return self.inner.reading(index)

    def documents(self, index: int):
        return self.inner.documents(index)

    def taken(self) -> list[int]:
        """What was asked for since the last time."""
        taken = list(self.asked)
        self.asked.clear()
        return taken


# The promises across stages -----------------------------------------------------------------------------------------


def test_a_stage_begins_at_nought_with_what_was_learnt_and_read(parent, entered):
    log = entered.log
    assert (entered.resumed_from_step, entered.state.step, entered.finished) == (0, 14, True)
    assert log["step"].to_pylist() == list(range(1, 15))
    assert log["flops"][0].as_py() == parent.log["flops"][0].as_py()
    rates = [
        5e-3 * Cosine(warmup_fraction=0.2).value(second_plan().at(step * BATCH + BATCH // 2)) for step in range(14)
    ]
    assert log["learning_rate"].to_pylist() == pytest.approx(rates, rel=1e-12)
    assert entered.state.cursors["old"] == parent.state.cursors["old"] + entered.state.read["old"]
    assert sum(entered.state.read.values()) == 14 * BATCH
    assert log["loss_nats_per_token"][0].as_py() != parent.log["loss_nats_per_token"][0].as_py()


@pytest.mark.parametrize("step", [0, 1, 3, 4, 7, 13, 14])
def test_a_stage_killed_anywhere_ends_in_the_same_bits(parent, entered, tmp_path, step):
    origin = parent.folder.parents[1]
    with pytest.raises(StopError):
        second(tmp_path, origin, stop_at(step) if step else _refuse)
    again = second(tmp_path, origin)
    assert again.resumed_from_step == (14 if step == 14 else step // 4 * 4)
    assert same(again, entered)


def _refuse(report: Report) -> None:
    raise StopError


@examples(6)
@given(stops=st.lists(st.integers(1, 26), min_size=1, max_size=4))
def test_two_stages_killed_at_random_end_in_the_same_bits(entered, tmp_path_factory, stops):
    """Each number is a step of the two stages laid end to end, after which the call dies; 12 lies between them."""
    root = tmp_path_factory.mktemp("random")
    for stop in sorted(stops):
        try:
            first(root / "a", stop_at(stop))
            second(root / "b", root / "a", stop_at(stop - 12))
        except StopError:
            continue
    first(root / "a")
    assert same(second(root / "b", root / "a"), entered)


def test_what_is_replayed_is_never_read_from_its_start_again(tmp_path):
    """Over three stages each source is read without a gap, and nothing of it twice."""
    texts = {"old": Watched(old()), "new": Watched(new()), "third": Watched(new("third", 8))}
    later = Phase({"third": 0.5, "new": 0.3, "old": 0.2})
    stages = [("old",), ("new", "old"), ("third", "new", "old")]
    plans = [first_plan(), second_plan(), second_plan(mixture=(later,))]
    begun = dict.fromkeys(texts, 0)
    for number, (names, asked) in enumerate(zip(stages, plans, strict=True)):
        before = tmp_path / str(number - 1) if number else None
        read = {name: texts[name] for name in names}
        result = train(asked, read, seed=3, folder=tmp_path / str(number), enter_from=before)
        for name in names:
            taken = texts[name].taken()
            assert taken == list(range(begun[name], begun[name] + len(taken)))
            begun[name] += len(taken)
            assert result.state.cursors[name] == begun[name] * CONTEXT


def test_the_tokens_of_replay_are_counted_to_the_sequence(parent, tmp_path):
    """round(alpha K B) after K steps, within one sequence, killed or not; shares are of tokens, not of documents."""
    asked = second_plan(steps=40)
    realised: dict[int, float] = {}

    def observe(report: Report) -> None:
        realised[report.step] = report.realised["old"]
        if report.step == 23 and 24 not in realised and not (tmp_path / "killed").exists():
            (tmp_path / "killed").touch()
            raise StopError

    with pytest.raises(StopError):
        second(tmp_path / "run", parent.folder.parents[1], observe, asked)
    killed = second(tmp_path / "run", parent.folder.parents[1], observe, asked)
    straight = second(tmp_path / "straight", parent.folder.parents[1], None, asked)
    assert killed.state == straight.state
    for steps, share in realised.items():
        assert abs(share * steps * BATCH - round(SHARE * steps * BATCH)) <= CONTEXT
    assert killed.state.read["old"] == 40 * BATCH * SHARE == 128


def test_replay_does_not_permute_what_is_new(parent, tmp_path):
    read: list[list[int]] = []
    for mixture in ((), REPLAY):
        text = Watched(new())
        texts = {"new": text, **({"old": old()} if mixture else {})}
        folder = tmp_path / str(len(mixture))
        train(second_plan(mixture=mixture), texts, seed=3, folder=folder, enter_from=parent.folder)
        read.append(text.taken())
    assert len(read[0]) == 56
    assert read[1] == read[0][: len(read[1])]
    assert len(read[1]) in (53, 54)


# What a stage takes along -------------------------------------------------------------------------------------------


def one_step(parent: TrainResult, optimizer: torch.optim.Optimizer, model, rate: float, index: int) -> None:
    """What the loop should do first, with torch's own parts."""
    tokens = torch.from_numpy(np.stack([old().reading(index + row).tokens for row in range(4)]))
    loss = torch.nn.functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()


@pytest.mark.parametrize("carried", [True, False])
def test_moments_are_carried_or_fresh_and_the_settings_are_the_new_plans(parent, tmp_path, carried):
    asked = first_plan(steps=1, optimizer=AdamW(weight_decay=0.5, beta2=0.99), learning_rate=1e-2)
    asked = dataclasses.replace(asked, schedule=Constant(warmup_fraction=0.0))
    result = train(asked, old(), seed=3, folder=tmp_path, enter_from=parent.folder, carry_optimizer=carried)
    snapshot = read_snapshot(parent.folder)
    model = snapshot.model
    optimizer = asked.optimizer.build(weights_of(model))
    if carried:
        load_full_optimizer(optimizer, snapshot.optimizer)
        for group, decay in zip(optimizer.param_groups, (0.5, 0.0), strict=True):
            group.update(betas=(0.9, 0.99), weight_decay=decay)
    one_step(parent, optimizer, model, 1e-2, 48)
    for a, b in zip(model.parameters(), result.model.parameters(), strict=True):
        assert float((a - b).detach().abs().quantile(0.99)) < 1e-6
    steps = {float(entry["step"]) for entry in read_snapshot(result.folder).optimizer["state"].values()}
    assert steps == {13.0 if carried else 1.0}


def test_a_changed_model_brings_its_own_weights_and_fresh_moments(parent, tmp_path):
    wider = dataclasses.replace(parent.model.shape, vocab_size=VOCAB + 8)
    init = initial_model(wider, 9)
    asked = second_plan(shape=wider)
    result = second(tmp_path / "a", parent.folder, None, asked, init=init)
    assert result.model.shape == wider
    assert result.state.cursors["old"] == parent.state.cursors["old"] + result.state.read["old"]
    assert {float(e["step"]) for e in read_snapshot(result.folder).optimizer["state"].values()} == {14.0}
    with pytest.raises(StopError):
        second(tmp_path / "b", parent.folder, stop_at(6), asked, init=init)
    assert same(second(tmp_path / "b", parent.folder, None, asked, init=init), result)
    with pytest.raises(SeedbedError, match="Give the plan that shape, or the changed model as `init`"):
        second(tmp_path / "c", parent.folder, None, asked)


def test_what_cannot_be_entered_is_an_error(parent, tmp_path):
    with pytest.raises(SeedbedError, match="moments are of another optimizer"):
        second(tmp_path / "a", parent.folder, None, second_plan(optimizer=Muon()))
    assert second(tmp_path / "a", parent.folder, None, second_plan(optimizer=Muon()), carry_optimizer=False).finished
    with pytest.raises(SeedbedError, match="no checkpoint of an earlier stage"):
        second(tmp_path / "b", tmp_path / "nowhere")
    with pytest.raises(SeedbedError, match="both branch_from and enter_from"):
        second(tmp_path / "b", parent.folder, branch_from=parent.folder)
    with pytest.raises(SeedbedError, match="another plan or seed"):
        second(tmp_path / "a", parent.folder)


# Annealed checkpoints -----------------------------------------------------------------------------------------------

TRUNK = Infinite(warmup_tokens=2 * BATCH, cooldown_tokens=4 * BATCH)


def trunk_plan(steps: int = 12, **about) -> TrainPlan:
    given = {"schedule": TRUNK, "checkpoints": Checkpoints(every_steps=3, keep_last=9)}
    return plan(tokens=steps * BATCH, **{**given, **about})


@pytest.fixture(scope="module")
def decayed(tmp_path_factory) -> TrainResult:
    """Nine steps of a trunk, then four that anneal."""
    asked = trunk_plan(13, schedule=TRUNK.annealed(4 * BATCH))
    return train(asked, old(), seed=3, folder=tmp_path_factory.mktemp("decayed"))


@pytest.mark.parametrize("role", ["branch_from", "enter_from"])
def test_a_stage_cannot_begin_from_an_annealed_checkpoint_by_accident(decayed, tmp_path, role):
    root = decayed.folder.parent
    assert [read_snapshot(at).state.annealed for at in sorted(root.iterdir())] == [False] * 3 + [True] * 2
    asked = trunk_plan(20) if role == "branch_from" else trunk_plan(20, schedule=Constant(warmup_fraction=0))
    run = {"plan": asked, "sources": old(), "seed": 3, "folder": tmp_path}
    for named in (root.parent, decayed.folder, root / "step-00000012"):
        with pytest.raises(SeedbedError, match="it is annealed") as caught:
            train(**run, **{role: named})
        assert "before the annealing" in str(caught.value)
        assert f"The newest checkpoint from before it is {root / 'step-00000009'}" in str(caught.value)
    assert not list(tmp_path.glob("checkpoints/step-*"))
    allowed = train(**run, **{role: root / "step-00000012"}, from_annealed=True)
    assert allowed.finished
    assert allowed.state.annealed == (role != "enter_from"), "a new stage begins anew"
    before = train(**{**run, "folder": tmp_path / "b"}, **{role: root / "step-00000009"})
    assert not before.state.annealed


def test_a_stage_that_warms_up_may_begin_from_an_annealed_checkpoint(decayed, tmp_path):
    result = train(trunk_plan(20), old(), seed=3, folder=tmp_path, enter_from=decayed.folder)
    assert result.finished
    assert not result.state.annealed


def test_where_nothing_else_is_left_the_error_says_so(tmp_path):
    asked = trunk_plan(13, schedule=TRUNK.annealed(4 * BATCH), checkpoints=Checkpoints(every_steps=2, keep_last=1))
    train(asked, old(), seed=3, folder=tmp_path / "a")
    cold = trunk_plan(20, schedule=Constant(warmup_fraction=0))
    with pytest.raises(SeedbedError, match=r"No earlier checkpoint is left in .*keep_every"):
        train(cold, old(), seed=3, folder=tmp_path / "b", enter_from=tmp_path / "a")


def test_a_run_goes_on_with_its_own_annealing(decayed, tmp_path):
    asked = trunk_plan(13, schedule=TRUNK.annealed(4 * BATCH))
    part = train(asked, old(), seed=3, folder=tmp_path, until_tokens=11 * BATCH)
    assert part.state.annealed
    assert same(train(asked, old(), seed=3, folder=tmp_path), decayed)
    assert same(train(asked, old(), seed=3, folder=tmp_path / "b", continue_from=tmp_path), decayed), (
        "in another folder"
    )


def test_a_state_from_before_there_was_the_word_is_not_annealed(parent, tmp_path):
    folder = tmp_path / "checkpoints" / parent.folder.name
    folder.mkdir(parents=True)
    for file in parent.folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    note = json.loads((folder / "state.json").read_text())
    for name in ("annealed", "read_before"):
        del note["state"][name]
    note["hash"] = fingerprint({name: note[name] for name in ("state", "hashes")})
    (folder / "state.json").write_text(json.dumps(note))
    assert read_snapshot(folder).state == parent.state
    assert second(tmp_path / "b", tmp_path).finished


@pytest.mark.parametrize("schedule", [TRUNK, WarmupStableDecay(warmup_tokens=128, decay_fraction=0.0)])
def test_runs_of_different_ends_share_every_bit_before_the_annealing(tmp_path, schedule):
    trunk = train(trunk_plan(12, schedule=schedule), old(), seed=3, folder=tmp_path / "trunk")
    longer = train(
        trunk_plan(24, schedule=schedule), old(), seed=3, folder=tmp_path / "longer", until_tokens=12 * BATCH
    )
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert (trunk.folder / name).read_bytes() == (longer.folder / name).read_bytes()
    assert not trunk.state.annealed
    ends = {}
    for extra in (2, 5):
        asked = trunk_plan(9 + extra, schedule=schedule.annealed(extra * BATCH))
        at = trunk.folder.parent / "step-00000009"
        branch = train(asked, old(), seed=3, folder=tmp_path / f"branch{extra}", branch_from=at)
        straight = train(asked, old(), seed=3, folder=tmp_path / f"straight{extra}")
        assert same(branch, straight)
        assert branch.log.slice(0, 9).equals(trunk.log.slice(0, 9))
        assert branch.state.annealed
        ends[extra] = branch.log["learning_rate"].to_pylist()[9:]
        assert ends[extra] == sorted(ends[extra], reverse=True)
    assert ends[2] != ends[5][:2]


# What it is good for ------------------------------------------------------------------------------------------------


LONG = 32


def language(first_token: int) -> np.ndarray:
    """A chain over seven tokens of its own, and the end of a document."""
    rows = np.random.default_rng(first_token).dirichlet(np.full(7, 0.3), size=VOCAB)
    matrix = np.zeros((VOCAB, VOCAB))
    matrix[:, first_token : first_token + 7] = 0.98 * rows
    matrix[:, END] += 0.02
    return matrix


def spoken(name: str, first_token: int) -> TokenSource:
    made = documents(900, first_token, language(first_token))
    return TokenSource(name, shards(made, ids(900, first_token), [900]), np.ones(900), seed=0, context=LONG)


def above_its_entropy(model, made: TokenSource, first_token: int) -> float:
    """Nats per token that the model loses on a language, beyond what nobody can help; on readings no stage reaches."""
    tokens = torch.from_numpy(np.stack([made.reading(900 + row).tokens for row in range(128)]))
    with torch.no_grad():
        logits = model(tokens[:, :-1])
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    return float(loss) - entropy(language(first_token))


def test_replay_keeps_more_than_half_of_what_re_warming_forgets(tmp_path):
    """Two languages with nothing in common; the floor of each is known in closed form."""
    a, b = spoken("a", 1), spoken("b", 8)
    shape = dataclasses.replace(plan().shape, d_model=24, context=LONG)
    about = {"shape": shape, "batch_sequences": 8, "schedule": Cosine(warmup_fraction=0.05), "learning_rate": 2e-2}
    about |= {"tokens": 90 * 8 * LONG, "checkpoints": Checkpoints(every_steps=1000)}
    train(plan(**about), a, seed=0, folder=tmp_path / "a")
    lost: dict[str, float] = {}
    learnt: dict[str, float] = {}
    for name, share in (("rewarm", 0.0), ("replay", 0.25)):
        sources = {"b": b, "a": a} if share else {"b": b}
        mixture = (Phase({"b": 1 - share, "a": share}),) if share else ()
        folder = tmp_path / name
        result = train(plan(**about, mixture=mixture), sources, seed=0, folder=folder, enter_from=tmp_path / "a")
        lost[name], learnt[name] = above_its_entropy(result.model, a, 1), above_its_entropy(result.model, b, 8)
    assert lost["replay"] < lost["rewarm"] / 2
    assert learnt["replay"] < learnt["rewarm"] + 0.1
