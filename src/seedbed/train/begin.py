"""Where a call of the loop begins: its own folder's newest checkpoint, an earlier stage's, another run's, or step 0."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any, cast

import torch

from seedbed.core import parameters
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import fingerprint
from seedbed.core.parameters import Json
from seedbed.model.transformer import Decoder, initial_model
from seedbed.train.plan import TrainPlan
from seedbed.train.snapshot import Snapshot, State, newest_snapshot, newest_state

CHECKPOINTS = "checkpoints"

WARM = 0.5
"""Of the peak: a schedule that begins below it warms up."""

_NO_EFFECT = ("checkpoints", "micro_batch_sequences", "log_every_steps")
"""Fields that change nothing but what is saved and logged and how sums are rounded: a run goes on when they change."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """What a run starts from when its own folder holds no checkpoint; one of these at most, but for `init` beside
    `enter_from`.

    Args:
        init: a model, with a fresh optimizer and counters at 0.
        continue_from: the folder of the stage before, of the same plan: everything is carried over.
        branch_from: a folder, or one of its checkpoints, of a run with another plan for the same model: weights,
            optimizer, counters and cursors are carried over, and the new plan holds from here on.
        enter_from: a folder, or one of its checkpoints, of the stage before, of any plan: a new stage whose counters
            and schedule begin at 0. Weights come along, or `init` where a transform changed them; so do the optimizer's
            moments, unless `init` is given; and the places in the data. A place counts tokens: it holds for the same
            tokenizer, context and order of reading.
        carry_optimizer: of `enter_from`: False begins with fresh moments.
        from_annealed: a checkpoint whose rate has come down for good may be branched off; or entered from by a stage
            that does not warm up (one that does is what re-warming means).
    """

    init: Decoder | None = None
    continue_from: Path | None = None
    branch_from: Path | None = None
    enter_from: Path | None = None
    carry_optimizer: bool = True
    from_annealed: bool = False

    def __post_init__(self) -> None:
        names = ("init", "continue_from", "branch_from", "enter_from")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) > 1 and given != ["init", "enter_from"]:
            raise SeedbedError("train", f"both {given[0]} and {given[1]} are given", "A run begins from one of them.")

    def parent(self, folder: Path, may_be_annealed: bool = False) -> Snapshot:
        """The snapshot named by a folder. Raises SeedbedError where it is annealed and nobody said that it may be."""
        found = _newest_of(folder)
        if not found.state.annealed or self.from_annealed or may_be_annealed:
            return found
        before = newest_state(found.folder.parent, lambda state: not state.annealed and state.step < found.state.step)
        mend = "A stage begins from before the annealing. "
        if before is None:
            mend += f"No earlier checkpoint is left in {found.folder.parent}: keep some with checkpoints.keep_every."
        else:
            mend += f"The newest checkpoint from before it is {before}."
        what = "its learning rate has come down for good: it is annealed"
        raise SeedbedError(str(found.folder), what, f"{mend} To begin here all the same: from_annealed.")


def plan_hash(plan: TrainPlan) -> str:
    """Of all that shapes the result."""
    fields = {name: value for name, value in parameters.encode_fields(plan).items() if name not in _NO_EFFECT}
    resolved: dict[str, Json] = {"sequences": plan.sequences, "peak": plan.peak_learning_rate}
    return fingerprint({**fields, **resolved})


def begin(plan: TrainPlan, seed: int, folder: Path, origin: Origin) -> Snapshot:
    """The snapshot that this call goes on from. Raises SeedbedError where the folder holds another run."""
    hashed = plan_hash(plan)
    found = newest_snapshot(folder / CHECKPOINTS)
    if found is None and origin.continue_from is not None:
        found = _newest_of(origin.continue_from)  # the same plan: an annealing that has begun is its own
    if found is None and origin.branch_from is not None:
        return _branched(plan, seed, hashed, origin.parent(origin.branch_from))
    if found is None and origin.enter_from is not None:
        warms_up = plan.schedule.value(plan.at(0)) < WARM
        return _entered(plan, seed, hashed, origin, origin.parent(origin.enter_from, warms_up))
    if found is None:
        return _fresh(plan, seed, hashed, origin.init)
    if (found.state.plan, found.state.seed) != (hashed, seed):
        mend = "Choose another folder; to go on from its checkpoint under a changed plan, branch from it."
        raise SeedbedError(str(found.folder), "this is a run of another plan or seed", mend)
    return found


def moments(found: Snapshot, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The state that an optimizer begins with: what was saved, under the settings of this run's plan.

    Raises SeedbedError where a new stage would be given the moments of another optimizer.
    """
    saved = cast("list[dict[str, Any]]", found.optimizer["param_groups"])
    own = cast("list[dict[str, Any]]", optimizer.state_dict()["param_groups"])
    if not found.state.step and [set(group) for group in saved] != [set(group) for group in own]:
        what = f"its moments are of another optimizer than this stage's {type(optimizer).__name__}"
        raise SeedbedError(str(found.folder), what, "Begin with fresh ones (--fresh-optimizer).")
    if len(saved) != len(own):
        return found.optimizer
    kept = ("params", "lr")
    groups = [{**new, **{key: old[key] for key in kept}} for old, new in zip(saved, own, strict=True)]
    return {**found.optimizer, "param_groups": groups}


def _fresh(plan: TrainPlan, seed: int, hashed: str, init: Decoder | None) -> Snapshot:
    if init is not None and init.shape != plan.shape:
        raise SeedbedError("train.init", f"the model has {init.shape}, the plan {plan.shape}")
    model = initial_model(plan.shape, seed) if init is None else copy.deepcopy(init)
    return Snapshot(Path(), State(0, 0, 0, {}, seed=seed, plan=hashed), model, {}, [])


def _branched(plan: TrainPlan, seed: int, hashed: str, parent: Snapshot) -> Snapshot:
    if parent.model.shape != plan.shape:
        what = f"the checkpoint's model has {parent.model.shape}, the plan {plan.shape}"
        raise SeedbedError(str(parent.folder), what, "A branch keeps its parent's model.")
    if parent.state.tokens >= plan.total_tokens:
        what = f"the checkpoint has seen {parent.state.tokens} tokens, the plan ends at {plan.total_tokens}"
        raise SeedbedError(str(parent.folder), what, "Give the plan more tokens, or branch from an earlier checkpoint.")
    state = dataclasses.replace(parent.state, plan=hashed, seed=seed)
    return dataclasses.replace(parent, state=state)


def _entered(plan: TrainPlan, seed: int, hashed: str, origin: Origin, parent: Snapshot) -> Snapshot:
    """The start of a new stage: what was learnt and where reading stands, under counters of its own."""
    if origin.init is None and parent.model.shape != plan.shape:
        what = f"the checkpoint's model has {parent.model.shape}, the plan {plan.shape}"
        raise SeedbedError(str(parent.folder), what, "Give the plan that shape, or the changed model as `init`.")
    cursors, owed = parent.state.cursors, parent.state.owed
    state = State(0, 0, 0, cursors, seed=seed, plan=hashed, owed=owed, read_before=cursors)
    carried = parent.optimizer if origin.init is None and origin.carry_optimizer else {}
    model = parent.model if origin.init is None else _fresh(plan, seed, hashed, origin.init).model
    return Snapshot(parent.folder, state, model, carried, [])


def _newest_of(folder: Path) -> Snapshot:
    """Of a run's folder, or one checkpoint that is named itself."""
    root = folder.parent if folder.name.startswith("step-") else folder / CHECKPOINTS
    found = newest_snapshot(root, folder.name) if root == folder.parent else newest_snapshot(root)
    if found is None:
        raise SeedbedError(str(folder), "there is no checkpoint of an earlier stage to continue from")
    return found
