"""Models that scorers need beside the one that is trained in the end: each trained once, side by side where it may."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from seedbed.core.artifact import Artifact
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import fingerprint
from seedbed.core.parameters import encode_fields
from seedbed.pipeline.material import Material, everything, scaled
from seedbed.pipeline.training import RunTask, run_all
from seedbed.pipeline.workplace import Workplace
from seedbed.select.contract import Scorer, Texts, TrainedModel
from seedbed.select.scorers.constant import Constant
from seedbed.select.selectors.gumbel_top_k import GumbelTopK


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A model that a scorer needs.

    Args:
        need: what it asked for.
        files: of the text it is trained on, where that is neither pool nor target.
        parent: the model it starts from.
    """

    need: TrainedModel
    files: tuple[str, ...] = ()
    parent: Wanted | None = None


def wanted(scorer: Scorer) -> dict[str, Wanted]:
    """name -> each model the scorer needs. Raises SeedbedError for one that starts from what does not come before."""
    found: dict[str, Wanted] = {}
    texts = {need.name: need.files for need in scorer.needs() if isinstance(need, Texts)}
    for need in scorer.needs():
        if isinstance(need, TrainedModel):
            if need.init and need.init not in found:
                what = f"the model {need.name!r} starts from {need.init!r}, which is not needed before it"
                raise SeedbedError(scorer.path(), what)
            if need.on not in ("pool", "target", *texts):
                raise SeedbedError(
                    scorer.path(), f"the model {need.name!r} is trained on {need.on!r}, which it does not need"
                )
            found[need.name] = Wanted(need, texts.get(need.on, ()), found.get(need.init))
    return found


Models = dict[Wanted, Artifact]


def trained_models(place: Workplace, materials: Sequence[Material], scorers: Iterable[Scorer]) -> list[Models]:
    """The models that any of the scorers needs, for each material; those that start from another come after it."""
    waiting = list(dict.fromkeys(want for scorer in scorers for want in wanted(scorer).values()))
    made: list[Models] = [{} for _ in materials]
    while waiting:
        ready = [want for want in waiting if want.parent is None or want.parent in made[0]]
        waiting = [want for want in waiting if want not in ready]
        tasks = {
            (at, want): _task(place, material, want, made[at].get(want.parent) if want.parent else None)
            for at, material in enumerate(materials)
            for want in ready
        }
        runs = run_all(list(tasks.values()), place.store, place.engine, f"train {len(tasks)} auxiliary models")
        for (at, want), task in tasks.items():
            made[at][want] = runs[task.label]
    return made


def _task(place: Workplace, material: Material, want: Wanted, parent: Artifact | None) -> RunTask:
    from seedbed.pipeline.choose import weights_of

    need = want.need
    shape = scaled(material.plan.shape, need.shape)
    plan = dataclasses.replace(material.plan, shape=shape, tokens=need.tokens, learning_rate=need.learning_rate)
    told = fingerprint({**encode_fields(need), "files": list(want.files)})[:6]
    drawn = "" if material.pool.part is None else f"-part{material.pool.part.seed}"
    label = f"auxiliary-{need.name}-{told}{drawn}"
    if need.on == "pool":
        sample = weights_of(place, material, Constant(), GumbelTopK(), need.tokens, seed=need.seed)
        task = material.task(place, label, need.seed, plan, sample)
    else:
        text = material.the_target if need.on == "target" else material.texts(place, want.files)
        part = everything(place, text)
        task = material.task(place, label, need.seed, plan, part)
        task = task.reading(text)
    return task if parent is None else dataclasses.replace(task, init=parent.path)
