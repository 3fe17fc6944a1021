"""Mixers get what they ask for: trials trained side by side, losses by target domain, averages, and a stored answer."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.artifact import Artifact
from seedbed.core.errors import SeedbedError
from seedbed.model import counts
from seedbed.model.shape import ModelShape
from seedbed.pipeline import data
from seedbed.pipeline.material import Material
from seedbed.pipeline.mixing import mixed, mixture_of
from seedbed.pipeline.models import open_model
from seedbed.pipeline.workplace import Workplace
from seedbed.recipe import Stage
from seedbed.recipes import demo
from seedbed.select.mixers.merge_proxy import MergeProxy
from seedbed.select.mixers.unimax import Unimax
from seedbed.select.mixing import Domains, Mixer, Mixture, ProxyRun, Seen, Trial
from seedbed.select.scorers.constant import Constant
from seedbed.select.selectors.gumbel_top_k import GumbelTopK
from seedbed.tokenize.run import Pool, make_tokenizer, tokenize
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from seedbed.train.plan import Checkpoints

WORDS = {"animals": "cat dog horse cow bird", "colours": "red blue green white black", "numbers": "one two three four"}


def write(folder: Path, domains: list[str], documents: int = 30) -> None:
    """A file a domain, each with words of its own."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for domain in domains:
        words = WORDS[domain].split()
        texts = [" ".join(rng.choice(words, 40)) for _ in range(documents)]
        lines = [json.dumps({"text": text, "source": domain}) + "\n" for text in texts]
        (folder / f"{domain}.jsonl").write_text("".join(lines))


def material_of(place: Workplace, inputs: Path, target: Path, tokenizer: Artifact | None = None) -> Material:
    recipe = demo.recipe()
    assert recipe.train is not None
    kept = data.texts_into(place, recipe.curate, [str(inputs)])
    tokenizer = tokenizer or make_tokenizer(ByteBpe(vocab_size=280), kept, place.store)
    aim = data.texts_into(place, recipe.curate, [str(target)])
    pools = [Pool(each, tokenize(each, tokenizer, place.store, place.engine)) for each in (kept, aim)]
    shape = ModelShape(vocab_size=280, d_model=16, n_layers=1, n_heads=2, context=64)
    plan = dataclasses.replace(
        recipe.train, shape=shape, tokens=4096, batch_sequences=4, checkpoints=Checkpoints(every_steps=50)
    )
    return Material(pools[0], pools[1], tokenizer, plan)


def stage(mixer: Mixer) -> Stage:
    return Stage(Constant(), GumbelTopK(), mixer=mixer)


@dataclasses.dataclass(frozen=True)
class Asking(Mixer):
    """Remembers what it was given, in what it tells."""

    asks = ("trials", "merged", "rounds")

    def trials(self, domains: Domains, seed: int) -> list[Trial]:
        return [Trial((1.0, 0.0), 1024, seed=seed), Trial((0.25, 0.75), 2048, 0.5, seed=seed)]

    def mixture(self, domains: Domains, seen: Seen, seed: int) -> Mixture:
        assert seen.trials is not None
        assert seen.merged is not None
        assert seen.round_loss_KE is not None
        told = {
            "shares": seen.trials.share_RD.tolist(),
            "tokens": seen.trials.tokens_R.tolist(),
            "params": seen.trials.params_R.tolist(),
            "losses": seen.trials.loss_RE.tolist(),
            "alone": seen.merged(np.array([[1.0, 0.0]])).tolist(),
            "rounds": seen.round_loss_KE.tolist(),
            "target": [list(domains.targets), domains.target_E.tolist()],
        }
        return Mixture(np.array([0.25, 0.75]), told)


@pytest.fixture
def ground(tmp_path: Path):
    write(tmp_path / "pool", ["animals", "colours"])
    write(tmp_path / "target", ["animals", "colours"], 4)
    with Workplace.open(tmp_path / "out") as place:
        yield place, material_of(place, tmp_path / "pool", tmp_path / "target")


def runs(place: Workplace) -> set[str]:
    return {artifact.path.name for artifact in place.store.all() if artifact.manifest["noun"] == "Run"}


def test_a_mixer_gets_what_it_asks_for(ground) -> None:
    place, material = ground
    made = mixture_of(place, material, stage(Asking()), budget_tokens=1000, seed=3)
    told = made.about["told"]
    assert made.about["shares"] == {"animals": 0.25, "colours": 0.75}
    assert json.loads((made.path / "mixture.json").read_text()) == {"domains": {"animals": 0.25, "colours": 0.75}}
    assert told["tokens"] == [1024, 2048]
    assert told["shares"][0] == [1.0, 0.0]
    assert told["shares"][1] == pytest.approx([0.25, 0.75], abs=0.06)
    assert told["params"][1] < told["params"][0]
    assert told["rounds"] == []
    assert told["target"][0] == ["animals", "colours"]
    assert sum(told["target"][1]) == pytest.approx(1)
    trained = [run for run in place.store.all() if run.manifest["noun"] == "Run"]
    assert made.about["flops_trials"] == sum(run.about["flops_train"] for run in trained)
    assert made.about["flops_select"] == made.about["flops_trials"] + made.about["flops_evaluation"]
    assert made.about["flops_evaluation"] > 0


def test_losses_are_means_over_the_tokens_of_each_target_domain(ground) -> None:
    place, material = ground
    made = mixture_of(place, material, stage(Asking()), budget_tokens=1000, seed=3)
    told = made.about["told"]
    table = arrow.read_parquet(made.path / "trials.parquet")
    first = [float(table.column(f"loss {name}")[0].as_py()) for name in ("animals", "colours")]
    assert first == told["losses"][0]
    small = counts.non_embedding_parameters(material.plan.shape)
    [run] = [a for a in place.store.all() if a.manifest["noun"] == "Run" and a.about["params_non_embedding"] == small]
    assert told["params"][0] == small
    model = open_model(run.path)
    totals, sizes = dict.fromkeys(WORDS, 0.0), dict.fromkeys(WORDS, 0)
    for batch in material.target:
        for i, name in enumerate(batch.column("source")):
            one = batch.one(i)
            size = int(one.token_ids[1][-1])
            totals[name] += float(model.document_losses(one)[0]) * size
            sizes[name] += size
    expected = [totals[name] / sizes[name] for name in ("animals", "colours")]
    assert told["losses"][0] == pytest.approx(expected, abs=1e-4)
    assert told["losses"][0][0] < told["losses"][0][1]  # it has read of animals alone


def test_the_arms_own_models_are_scored_round_by_round_and_trials_are_paid_for_once(ground) -> None:
    place, material = ground
    first = mixture_of(place, material, stage(Asking()), budget_tokens=1000, seed=3)
    mine = [a for a in place.store.all() if a.manifest["noun"] == "Run"]
    later = mixture_of(place, material, stage(Asking()), budget_tokens=1000, seed=3, runs=mine)
    rounds = np.array(later.about["told"]["rounds"])
    assert rounds.shape == (2, 2)
    losses = np.array(first.about["told"]["losses"])
    assert sorted(map(tuple, rounds.tolist())) == sorted(map(tuple, losses.tolist()))
    assert later.about["flops_trials"] == 0
    assert 0 < later.about["flops_evaluation"] < first.about["flops_evaluation"]


def test_a_mixer_that_asks_for_nothing_needs_no_target_and_trains_nothing(ground) -> None:
    place, material = ground
    bare = dataclasses.replace(material, target=None)
    made = mixture_of(place, bare, stage(Unimax()), budget_tokens=1000, seed=0)
    assert made.about["shares"] == {"animals": 0.5, "colours": 0.5}
    assert made.about["flops_select"] == 0
    assert not runs(place)
    with pytest.raises(SeedbedError, match="target: a method asks for target text"):
        mixture_of(place, bare, stage(Asking()), budget_tokens=1000, seed=0)


def test_a_new_domain_costs_exactly_one_training_run(ground, tmp_path: Path) -> None:
    place, material = ground
    proxy = MergeProxy(
        trial_tokens=1024, start_tokens=1024, start_domains=("animals", "colours"), checks=0, candidates=3
    )
    before = mixture_of(place, material, stage(proxy), budget_tokens=1000, seed=0)
    trained = runs(place)
    assert len(trained) == 3  # the start, and one a domain
    write(tmp_path / "more", ["animals", "colours", "numbers"])
    more = material_of(place, tmp_path / "more", tmp_path / "target", material.tokenizer)
    after = mixture_of(place, more, stage(proxy), budget_tokens=1000, seed=0)
    assert before.path != after.path
    assert set(after.about["shares"]) == {"animals", "colours", "numbers"}
    assert len(runs(place) - trained) == 1
    assert trained <= runs(place)
    assert set(after.about["runs"]) == runs(place)


def test_the_same_question_is_answered_at_once(ground, monkeypatch: pytest.MonkeyPatch) -> None:
    place, material = ground
    proxy = MergeProxy(trial_tokens=1024, start_tokens=0, checks=1, candidates=3, weighted=2)
    first = mixture_of(place, material, stage(proxy), budget_tokens=1000, seed=0)
    assert first.about["told"]["checked"] == 1
    assert first.about["told"]["candidates"] == 5
    monkeypatch.setattr("seedbed.pipeline.mixing.run_all", None)
    assert mixture_of(place, material, stage(proxy), budget_tokens=1000, seed=0).path == first.path
    assert mixture_of(place, material, stage(Unimax()), budget_tokens=9, seed=0).path != first.path


def test_domains_are_those_of_the_documents_that_are_walked(ground) -> None:
    _, material = ground
    whole = mixed(material, "source", 10, with_target=True)
    assert whole.domains.names == ("animals", "colours")
    assert int(whole.domains.tokens_D.sum()) == material.pool.n_tokens
    part = material.resampled(1, 0.5)
    half = mixed(part, "source", 10, with_target=True)
    assert int(half.domains.tokens_D.sum()) == part.pool.n_tokens < material.pool.n_tokens
    assert mixed(material, "language", 10, with_target=False).domains.targets == ()


@dataclasses.dataclass(frozen=True)
class Law:
    """Moves all weight to the second domain by halves."""

    def first(self, domains: Domains) -> np.ndarray:
        return np.array([0.5, 0.5])

    def next(self, weight_D: np.ndarray, seen: object) -> np.ndarray:
        return np.array([weight_D[0] / 2, 1 - weight_D[0] / 2])


@dataclasses.dataclass(frozen=True)
class OfSteps(Mixer):
    """The last weights of a proxy run."""

    asks = ("proxy",)

    def proxy(self) -> tuple[ProxyRun, Law]:
        return ProxyRun(tokens=1024), Law()

    def mixture(self, domains: Domains, seen: Seen, seed: int) -> Mixture:
        assert seen.step_weight_SD is not None
        return Mixture(seen.step_weight_SD[-1], {"steps": len(seen.step_weight_SD)})


def test_a_proxy_run_is_made_where_it_is_asked_for_and_paid_for(ground) -> None:
    place, material = ground
    bare = dataclasses.replace(material, target=None)
    made = mixture_of(place, bare, stage(OfSteps()), budget_tokens=1000, seed=0)
    steps = 1024 // (4 * 64)
    assert made.about["told"]["steps"] == steps
    assert 0 < made.about["shares"]["animals"] <= 0.5**steps * 2
    assert made.about["flops_select"] > 0
    assert len(made.about["runs"]) == 1


def test_a_start_on_more_domains_than_its_few_documents_reach(ground) -> None:
    place, material = ground
    short = dataclasses.replace(material, plan=dataclasses.replace(material.plan, batch_sequences=1))
    proxy = MergeProxy(trial_tokens=128, start_tokens=64, checks=0, candidates=3)
    made = mixture_of(place, short, stage(proxy), budget_tokens=1000, seed=0)
    assert len(made.about["runs"]) == 3
    weights = [a for a in place.store.all() if a.path.name.startswith("weights-trial-")]
    assert all(float(arrow.numpy(a.table(), "copies").min()) >= 1 for a in weights)
    assert {round(sum(a.about["shares"].values()), 9) for a in weights} == {1.0}
