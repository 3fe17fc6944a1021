"""From what a person types to an arm of a comparison: `dsir`, `mates`, `dsir+top_k`, `regmix`, `mine.py:Mine`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypeVar, cast

from seedbed import catalogue
from seedbed.core.errors import RecipeError, did_you_mean
from seedbed.core.method import Method
from seedbed.recipe import Arm, ComparePlan, Stage
from seedbed.select.contract import Scorer, Selector
from seedbed.select.mixing import Mixer
from seedbed.select.scorers.constant import Constant
from seedbed.select.scorers.url_pattern import UrlPattern
from seedbed.select.selectors.gumbel_top_k import GumbelTopK
from seedbed.select.selectors.repeat_to_budget import RepeatToBudget

M = TypeVar("M", bound=Method)

RANDOM = Arm("random", (Stage(Constant(), GumbelTopK()),))


def arm_of(asked: str | Scorer | Mixer) -> Arm:
    """The arm of a scorer (with its paper's selector, or the one after a +), or of a mixer over documents' sources.

    Raises RecipeError for a name that is neither.
    """
    if isinstance(asked, Scorer):
        return Arm(asked.name(), _stages(asked, _selector(asked.selector)))
    if isinstance(asked, Mixer):
        return Arm(asked.name(), _mixed(asked))
    name, _, selector = asked.partition("+")
    shelf = _shelf_of(name)
    if shelf == "mixers":
        if selector:
            raise RecipeError(asked, "a mixer takes no selector here", "Write a recipe with a stage that has both.")
        return Arm(name, _mixed(_built(Mixer, f"select.mixers.{name}")))
    scorer = _built(Scorer, name if ".py:" in name else f"select.scorers.{name}")
    arm = name if ".py:" not in name else scorer.name()
    stages = _stages(scorer, _selector(selector or scorer.selector))
    return Arm(f"{arm}-{selector}" if selector else arm, stages)


def comparison(
    methods: Sequence[str | Scorer | Mixer | Arm],
    *,
    labels: str = "",
    seeds: int = 5,
    resample: float = 0.9,
    curve: Sequence[float] = (0.5, 2.0, 4.0),
) -> ComparePlan:
    """Methods beside random documents and, where labels such as `source=handbook*` name clean ones, a ceiling.

    Raises RecipeError for a method that is none, and for labels of another form.
    """
    arms = [RANDOM]
    if labels:
        field, _, patterns = labels.partition("=")
        arms.append(ceiling(tuple(patterns.split(",")) if patterns else (), field))
    arms += [asked if isinstance(asked, Arm) else arm_of(asked) for asked in methods if asked != RANDOM.name]
    top = "ceiling" if labels else ""
    return ComparePlan(tuple(arms), RANDOM.name, top, seeds=seeds, resample=resample, curve=tuple(curve))


def stage_of(asked: str | Scorer | Mixer, selector: str | Selector = "") -> Stage:
    """One choice of documents, outside a comparison; without a selector the method's own."""
    stage = arm_of(asked).stages[-1]
    if not selector:
        return dataclasses.replace(stage, share=1.0)
    chosen = _selector(selector) if isinstance(selector, str) else selector
    return dataclasses.replace(stage, selector=chosen, share=1.0)


def ceiling(patterns: tuple[str, ...], field: str) -> Arm:
    """The clean-label arm: documents whose url or source matches, read as often as the budget asks."""
    if field not in ("url", "source") or not patterns:
        raise RecipeError("ceiling", f"{field!r} names no clean documents", "Write source=PATTERN or url=PATTERN.")
    scorer = UrlPattern(patterns=patterns, field="url" if field == "url" else "source")
    return Arm("ceiling", (Stage(scorer, RepeatToBudget()),))


def _shelf_of(name: str) -> str:
    if ".py:" in name:
        return "mixers" if issubclass(catalogue.load(name), Mixer) else "scorers"
    names = {
        path.rpartition(".")[2]: path.split(".")[1] for path in catalogue.all_paths() if path.startswith("select.")
    }
    if names.get(name) not in ("scorers", "mixers"):
        known = [known for known, shelf in names.items() if shelf in ("scorers", "mixers")]
        raise RecipeError(name, "is no way to choose data", did_you_mean(name, known))
    return names[name]


def _stages(scorer: Scorer, selector: Selector) -> tuple[Stage, ...]:
    if scorer.rounds == 1:
        return (Stage(scorer, selector),)
    share = 1 / (scorer.rounds + 1)
    return (Stage(Constant(), GumbelTopK(), share=share), *[Stage(scorer, selector, share=share)] * scorer.rounds)


def _mixed(mixer: Mixer) -> tuple[Stage, ...]:
    rounds = mixer.rounds
    return tuple([Stage(Constant(), GumbelTopK(), share=1 / rounds, mixer=mixer)] * rounds)


def _selector(name: str) -> Selector:
    return _built(Selector, f"select.selectors.{name}")


def _built(kind: type[M], path: str) -> M:
    return cast(M, catalogue.build(kind, path, path))
