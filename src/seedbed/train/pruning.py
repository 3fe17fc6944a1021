"""Pruning as the loop does it: a weight that is 0 is off, so the weights alone say where pruning stands.

Matrices of the blocks are pruned; the embedding, the head, norms and biases are not. Once pruning has begun, what is
off gets no gradient (so it counts neither in the norm nor in the moments) and is 0 again after each step. Products are
still dense: FLOP are saved where hardware skips zeros, and nowhere else. Without pruning, weights would grow back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence

import torch

from seedbed.core.errors import RecipeError
from seedbed.core.parameters import Json
from seedbed.model import counts
from seedbed.model.shape import ModelShape
from seedbed.model.weights import Weight
from seedbed.train.contract import Progress, Pruning
from seedbed.train.plan import TrainPlan
from seedbed.train.snapshot import State

FLOPS_PER_WEIGHT = 2.0 * counts.TRAINING_FACTOR
"""Of a weight of a matrix, per token of training."""


class Pruner:
    """Switches weights off by the plan, and keeps them off.

    Args:
        plan: of the run; without a pruning nothing is done.
        weights: of the model, each once.
        at: where the run stands.

    Raises RecipeError where matrices lie in shards.
    """

    def __init__(self, plan: TrainPlan, weights: Sequence[Weight], at: Progress) -> None:
        self._rule: Pruning | None = plan.pruning
        self._matrices = [weight.parameter for weight in weights if weight.kind == "matrix" and plan.pruning]
        if any(hasattr(matrix, "full_tensor") for matrix in self._matrices):
            what = "looks at whole matrices, and fsdp cuts them into shards"
            raise RecipeError("train.plan.pruning", what, "Use ddp.")
        self._saving = saving(plan.shape, sum(matrix.numel() for matrix in self._matrices))
        self._asked = 0.0
        self.off = 0
        """Weights that are off; 0 before pruning begins, whatever the weights."""
        self.prune(at)

    def prune(self, at: Progress) -> None:
        """Switch off what the plan asks for at this point, the least important first."""
        if self._rule is None or (asked := self._rule.sparsity(at, self._saving)) <= self._asked:
            return
        with torch.no_grad():
            ranked = [self._rule.importance(m).masked_fill(m == 0, -torch.inf).view(-1) for m in self._matrices]
            sizes = [len(importance) for importance in ranked]
            is_off = torch.zeros(sum(sizes), dtype=torch.bool, device=ranked[0].device)
            is_off[torch.cat(ranked).argsort(stable=True)[: round(asked * sum(sizes))]] = True
            for matrix, chosen in zip(self._matrices, torch.split(is_off, sizes), strict=True):
                matrix.masked_fill_(chosen.view_as(matrix), 0.0)
        self._asked, self.off = asked, self._count()

    def hold_gradients(self) -> None:
        """Take away the gradients of what is off."""
        if self.off:
            for matrix in self._matrices:
                if matrix.grad is not None:
                    matrix.grad.masked_fill_(matrix.detach() == 0, 0.0)

    @contextlib.contextmanager
    def holding(self) -> Generator[None]:
        """What is off before is off behind: moments may move a weight that has no gradient."""
        if not self.off:
            yield
            return
        off = [matrix.detach() == 0 for matrix in self._matrices]
        yield
        with torch.no_grad():
            for matrix, is_off in zip(self._matrices, off, strict=True):
                matrix.masked_fill_(is_off, 0.0)
        self.off = self._count()  # a weight that an update takes to 0 by chance is off from then on, resumed or not

    def _count(self) -> int:
        return sum(int((matrix.detach() == 0).sum()) for matrix in self._matrices)


def saving(shape: ModelShape, prunable: int) -> float:
    """Share of a dense model's FLOP that go if so many weights of its matrices are off."""
    return 2.0 * prunable * shape.context / counts.forward_flops(shape, 1, shape.context)


def account(plan: TrainPlan, state: State, off: int) -> dict[str, Json]:
    """What was active in a run that pruned; nothing to tell of another one. `flops` of a run count all weights."""
    if plan.pruning is None or not state.tokens:
        return {}
    resting, params = state.idle / state.tokens, counts.total_parameters(plan.shape)
    return {
        "active_params": params - off,
        "average_params": params - resting,
        "average_params_non_embedding": counts.non_embedding_parameters(plan.shape) - resting,
        "flops_active": state.flops - FLOPS_PER_WEIGHT * state.idle,
    }
