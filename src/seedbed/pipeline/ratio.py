"""How much to replay: small runs at several shares and lengths, the D-CPT law, the share it leads to, and a check.

Left at the top of the folder: ratio.csv (a row a run: share, tokens, losses before, after, and as forecast) and
ratio.json (the laws, how far they were off on runs they had not seen, the share, and how the check came out).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from functools import partial
from typing import cast

import numpy as np

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, write_text
from seedbed.core.errors import RecipeError, did_you_mean
from seedbed.core.parameters import Json
from seedbed.engine.progress import announce
from seedbed.evaluate.rows import write_csv
from seedbed.pipeline import continual_stages, scoring
from seedbed.pipeline.continual_data import Ground
from seedbed.pipeline.continual_stages import Leg
from seedbed.recipe import EvaluatePlan
from seedbed.recipe.continual import RatioPlan, Route, TrainingStage, scaled_schedule
from seedbed.select.mixing import FloatArray, held_out
from seedbed.stats.dcpt import DcptFit, fitted
from seedbed.train.contract import Schedule

LENGTHS = (0.25, 0.5, 1.0)
"""Of `tokens`, at which every share is tried."""
NEIGHBOURS = (0.5, 1.0, 2.0)
"""Times the share that was found, in the check."""
FEWEST = 10
FOLDS = 5
GRID = 999
COLUMNS = ("kind", "seed", "replay", "tokens", "old_loss", "new_loss", "old_forecast", "new_forecast", "old_before")


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of the stage: a trial, or one of the check.

    Args:
        replay: share of its tokens that is old text.
        old, new: loss afterwards on the two domains, nats per token.
        before: on the old one, of the model it began from.
    """

    kind: str
    seed: int
    replay: float
    tokens: int
    old: float
    new: float
    before: float


@dataclasses.dataclass(frozen=True)
class Laws:
    """The two fitted laws at one size of model."""

    params: float
    old: DcptFit
    new: DcptFit

    def forecast(self, replay_G: FloatArray, tokens: float) -> tuple[FloatArray, FloatArray]:
        """(loss on old text, loss on new text) at shares of replay after so many tokens; nats per token."""
        size_G, length_G = np.full(len(replay_G), self.params), np.full(len(replay_G), float(tokens))
        old_G = self.old(np.column_stack([size_G, length_G, replay_G]))
        return old_G, self.new(np.column_stack([size_G, length_G, 1 - replay_G]))


def ratio_into(ground: Ground, plan: RatioPlan, routes: Sequence[Route], texts: dict[str, Artifact]) -> None:
    """Find the share, check it, and write both files."""
    route, stage, source = _asked(plan, routes, texts)
    evaluation = cast(EvaluatePlan, ground.recipe.evaluate)
    assert ground.recipe.train is not None
    schedule = ground.recipe.train.schedule
    changed = {
        (share, length): variant(route, stage, {source: share}, round(length * plan.tokens), schedule)
        for share in plan.replay
        for length in LENGTHS
    }
    if len(changed) < FEWEST:
        what = f"{len(plan.replay)} shares at {len(LENGTHS)} lengths are too few for nine numbers"
        raise RecipeError("continual.ratio.replay", what, "Try at least four shares.")
    runs = _train(ground, plan, changed, "trial", texts, evaluation)
    laws, off = fit(runs, _params(ground), seed=0)
    before = float(np.mean([run.before for run in runs]))
    share, reached = best(laws, stage.tokens, before + plan.max_old_increase, plan.replay)
    told: dict[str, Json] = {"replay": share, "within_bound": reached, "max_old_increase": plan.max_old_increase, **off}
    if plan.check:
        near = sorted({min(0.95, share * times) for times in NEIGHBOURS})
        asked = {(each, 1.0): variant(route, stage, {source: each}, stage.tokens, schedule) for each in near}
        checked = _train(ground, plan, asked, "check", texts, evaluation)
        told["check"] = _checked(laws, checked, share, plan)
        runs += checked
    _write(ground, runs, laws, told)
    bound = "keeps" if reached else "does not keep"
    announce(
        f"Replay {share:.1%} of {stage.name}: the law says that it {bound} the bound on {plan.old}. See ratio.json."
    )


def fit(runs: Sequence[Run], params: float, seed: int) -> tuple[Laws, dict[str, Json]]:
    """Both laws, and how far each was off on held-out runs (share of variance explained, largest relative error)."""
    size_R = np.full(len(runs), params)
    tokens_R = np.array([run.tokens for run in runs], np.float64)
    replay_R = np.array([run.replay for run in runs])
    found: list[DcptFit] = []
    told: dict[str, Json] = {}
    for name, share_R, loss_R in (
        ("old", replay_R, np.array([run.old for run in runs])),
        ("new", 1 - replay_R, np.array([run.new for run in runs])),
    ):
        points = np.column_stack([size_R, tokens_R, share_R])
        found.append(fitted(points, loss_R, seed=seed))
        told[name] = {
            **found[-1].to_json(),
            **held_out(partial(fitted, starts=4, seed=seed), points, loss_R, folds=FOLDS, seed=seed),
        }
    return Laws(params, found[0], found[1]), told


def best(laws: Laws, tokens: int, bound: float, tried: Sequence[float]) -> tuple[float, bool]:
    """(the smallest share between those tried that keeps old text within the bound, True), or the largest, False.

    More replay than that costs new text without being asked for.
    """
    share_G = np.linspace(min(tried), max(tried), GRID)
    old_G, _ = laws.forecast(share_G, tokens)
    kept = np.flatnonzero(old_G <= bound)
    return (float(share_G[kept[0]]), True) if len(kept) else (float(share_G[-1]), False)


def _asked(plan: RatioPlan, routes: Sequence[Route], texts: dict[str, Artifact]) -> tuple[Route, TrainingStage, str]:
    """(route, stage, the one source it replays). Raises RecipeError for what is not there."""
    by_name = {route.name: route for route in routes}
    if plan.route not in by_name:
        raise RecipeError(
            "continual.ratio.route", f"no route is called {plan.route!r}", did_you_mean(plan.route, by_name)
        )
    route = by_name[plan.route]
    stages = {stage.name: stage for stage in route.stages}
    if plan.stage not in stages:
        raise RecipeError(
            "continual.ratio.stage", f"no stage is called {plan.stage!r}", did_you_mean(plan.stage, stages)
        )
    if stages[plan.stage].entry:
        what = f"the stage {plan.stage} transforms its model first, and losses per token are compared"
        raise RecipeError("continual.ratio.stage", what, "Put the transform into a stage of its own before it.")
    if len(stages[plan.stage].replay) != 1:
        what = f"the stage {plan.stage} replays {len(stages[plan.stage].replay)} sources"
        raise RecipeError("continual.ratio.stage", what, "Let it replay one: replay: {SOURCE: 0.05}.")
    for field in ("old", "new"):
        if getattr(plan, field) not in texts:
            what = f"there is no held-out text {getattr(plan, field)!r}"
            raise RecipeError(f"continual.ratio.{field}", what, f"There are: {', '.join(texts)}.")
    return route, stages[plan.stage], next(iter(stages[plan.stage].replay))


def variant(route: Route, stage: TrainingStage, replay: dict[str, float], tokens: int, schedule: Schedule) -> Route:
    """The route up to a stage, whose replay and length are others; what its schedule gives in tokens goes with it."""
    at = route.stages.index(stage)
    last = dataclasses.replace(stage, replay=replay, tokens=tokens, anneal_tokens=0)
    if stage.begin != "continue" and tokens != stage.tokens:
        own = scaled_schedule(stage.schedule or schedule, tokens / stage.tokens)
        last = dataclasses.replace(last, schedule=own)
    told = ", ".join(f"{share:g} {name}" for name, share in replay.items())
    return dataclasses.replace(route, name=f"{route.name}, {told}, {tokens}", stages=(*route.stages[:at], last))


def _train(
    ground: Ground,
    plan: RatioPlan,
    changed: dict[tuple[float, float], Route],
    kind: str,
    texts: dict[str, Artifact],
    evaluation: EvaluatePlan,
) -> list[Run]:
    legs = continual_stages.walk(ground, list(changed.values()), range(plan.seeds))
    artifacts = list({leg.run.path.name: leg.run for leg in legs}.values())
    scores = scoring.score_runs(
        ground.place, artifacts, {name: texts[name] for name in (plan.old, plan.new)}, evaluation
    )

    def loss(leg: Leg, domain: str) -> float:
        return scores[leg.run.path.name][domain].loss_nats_per_token

    runs: list[Run] = []
    for (share, _), route in changed.items():
        for seed in range(plan.seeds):
            mine = [leg for leg in legs if (leg.route, leg.seed) == (route.name, seed) and leg.branch == "stage"]
            before, last = mine[-2], mine[-1]
            told = (loss(last, plan.old), loss(last, plan.new), loss(before, plan.old))
            runs.append(Run(kind, seed, share, last.tokens, *told))
    return runs


def _params(ground: Ground) -> float:
    from seedbed.model import counts

    assert ground.recipe.train is not None
    return float(counts.non_embedding_parameters(ground.recipe.train.shape))


def _checked(laws: Laws, runs: Sequence[Run], share: float, plan: RatioPlan) -> dict[str, Json]:
    """How the share and its neighbours came out: means over seeds."""
    found: dict[str, Json] = {}
    for each in sorted({run.replay for run in runs}):
        mine = [run for run in runs if run.replay == each]
        old, new = laws.forecast(np.array([each]), mine[0].tokens)
        lost = float(np.mean([run.old - run.before for run in mine]))
        found[f"{each:.4f}"] = {
            "is_the_choice": each == share,
            "old_increase": lost,
            "within_bound": lost <= plan.max_old_increase,
            "old_error": float(np.mean([run.old for run in mine]) - old[0]),
            "new_loss": float(np.mean([run.new for run in mine])),
            "new_error": float(np.mean([run.new for run in mine]) - new[0]),
        }
    return found


def _write(ground: Ground, runs: Sequence[Run], laws: Laws, told: dict[str, Json]) -> None:
    rows: list[tuple[Json, ...]] = []
    for run in runs:
        old, new = laws.forecast(np.array([run.replay]), run.tokens)
        forecast = (float(old[0]), float(new[0]), run.before)
        rows.append((run.kind, run.seed, run.replay, run.tokens, run.old, run.new, *forecast))
    columns = {name: [row[at] for row in rows] for at, name in enumerate(COLUMNS)}
    write_csv(arrow.table(columns), ground.place.out / "ratio.csv")
    write_text(ground.place.out / "ratio.json", json.dumps(told, indent=1) + "\n")
