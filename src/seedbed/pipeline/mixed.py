"""Weights under a mixture: each domain gets its part of the budget, and the selector chooses within it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request
from seedbed.core.parameters import Json
from seedbed.pipeline.choose import COSTS, about_weights, selection_column
from seedbed.pipeline.material import Material, column_of, whole_table
from seedbed.pipeline.mixing import mixture_of
from seedbed.pipeline.workplace import Workplace
from seedbed.recipe import Stage
from seedbed.select.allot import weights_by_shares
from seedbed.select.contract import Scored
from seedbed.stats.sampling import keys_of


def mixed_weights(
    place: Workplace,
    material: Material,
    stage: Stage,
    budget_tokens: int,
    seed: int,
    scores: Artifact,
    runs: Sequence[Artifact],
) -> Artifact:
    """Weights by the shares that the stage's mixer gives; `runs` are the arm's own models so far."""
    mixture = mixture_of(place, material, stage, budget_tokens=budget_tokens, seed=material.seed, runs=runs)
    pool = material.pool
    identity: dict[str, Json] = {
        **stage.selector.identity(),
        "budget_tokens": budget_tokens,
        "seed": seed,
        "max_epochs": stage.max_epochs,
    }
    parents = {"scores": scores.fingerprint, "tokens": pool.fingerprint, "mixture": mixture.fingerprint}

    def fill(draft: Draft) -> dict[str, Json]:
        index = pool.index()
        n_tokens_N = arrow.numpy(index, "n_tokens").astype(np.int64)
        shares = cast("dict[str, float]", mixture.about["shares"])
        names = sorted(shares)
        domain_N = np.searchsorted(np.array(names, dtype=object), column_of(pool, stage.domain))
        keys = keys_of(cast("list[bytes]", index.column("id").to_pylist()))
        score_N = arrow.numpy(scores.table(["score"]), "score").astype(np.float64)
        columns = {name: selection_column(pool, scores, stage.scorer, name) for name in stage.selector.columns()}
        copies_N = weights_by_shares(
            stage.selector,
            Scored(score_N, n_tokens_N, keys, columns),
            domain_N,
            np.array([shares[name] for name in names]),
            budget_tokens=budget_tokens,
            max_epochs=stage.max_epochs,
            seed=seed,
        )
        draft.write_table("part-00000.parquet", whole_table(pool, copies_N))
        cost = {name: scores.about[name] for name in COSTS}
        for name, part in (("flops_select", "flops_select"), ("flops_auxiliary", "flops_trials")):
            cost[name] = cast(float, cost[name]) + cast(float, mixture.about[part])
        named = f"{scores.path.name}+{mixture.path.name}"
        return {**about_weights(copies_N, n_tokens_N), **cost, "mixture": mixture.path.name, "scores": named}

    label = f"{stage.mixer.name() if stage.mixer else ''}-{seed}"
    return place.store.make(Request("Weights", label, identity, parents), fill)
