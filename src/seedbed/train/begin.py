"""Where a call of the loop begins: its own folder's newest checkpoint, an earlier stage's, another run's, or step 0."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

from seedbed.core import parameters
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import fingerprint
from seedbed.core.parameters import Json
from seedbed.model.transformer import Decoder, initial_model
from seedbed.train.plan import TrainPlan
from seedbed.train.snapshot import Snapshot, State, newest_snapshot

CHECKPOINTS = "checkpoints"

_NO_EFFECT = ("checkpoints", "micro_batch_sequences", "log_every_steps")
"""Fields that change nothing but what is saved and logged and how sums are rounded: a run goes on when they change."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """What a run starts from when its own folder holds no checkpoint; one of these at most.

    Args:
        init: a model, with a fresh optimizer and counters at 0.
        continue_from: the folder of the stage before, of the same plan: everything is carried over.
        branch_from: a folder, or one of its checkpoints, of a run with another plan for the same model: weights,
            optimizer, counters and cursors are carried over, and the new plan holds from here on.
    """

    init: Decoder | None = None
    continue_from: Path | None = None
    branch_from: Path | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("init", "continue_from", "branch_from") if getattr(self, name) is not None]
        if len(given) > 1:
            raise SeedbedError("train", f"both {given[0]} and {given[1]} are given", "A run begins from one of them.")


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
        found = _newest_of(origin.continue_from)
    if found is None and origin.branch_from is not None:
        return _branched(plan, seed, hashed, _newest_of(origin.branch_from))
    if found is None:
        return _fresh(plan, seed, hashed, origin.init)
    if (found.state.plan, found.state.seed) != (hashed, seed):
        mend = "Choose another folder; to go on from its checkpoint under a changed plan, branch from it."
        raise SeedbedError(str(found.folder), "this is a run of another plan or seed", mend)
    return found


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


def _newest_of(folder: Path) -> Snapshot:
    """Of a run's folder, or one checkpoint that is named itself."""
    root = folder.parent if folder.name.startswith("step-") else folder / CHECKPOINTS
    found = newest_snapshot(root, folder.name) if root == folder.parent else newest_snapshot(root)
    if found is None:
        raise SeedbedError(str(folder), "there is no checkpoint of an earlier stage to continue from")
    return found
