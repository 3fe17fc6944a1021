"""Instruction residual: a continued base model follows instructions again, without any instruction data.

What      A base model was tuned to instructions once, and the base was since continued on new text. What the tuning
          changed, the residual, is added to the continued base: it costs one addition instead of another tuning.
          The checkpoint is the continued base. Continuing the tuned model itself would wear the tuning off.
Source    Jindal et al. 2024 (Balancing continuous pre-training and instruction fine-tuning), arXiv 2410.10739,
          on instruction residuals.
Formula   residual = theta_instruct - theta_base;  theta = theta_continued + lambda residual, lambda = 1
Shapes    a checkpoint and two models of its shape -> a checkpoint of that shape
Units     lambda: a factor; weights are summed in float64 and rounded once
Fidelity  Adapted: the paper's models share one tokenizer. Where they do not, the residual has the rows of tokens that
          all three know, and other rows stay the checkpoint's. With one tokenizer it is exact.
Errors    A missing role, or models of another shape raise SeedbedError.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

from annotated_types import Ge, Le

from seedbed.core.errors import SeedbedError
from seedbed.model.merging import TaskVector, added
from seedbed.model.transforming import Checkpoint, Given, Transform


@dataclasses.dataclass(frozen=True)
class InstructionResidual(Transform):
    """Instruction residual, added to a continued base.

    Args:
        scale: lambda.
    """

    roles: ClassVar[tuple[str, ...]] = ("base", "instruct")

    scale: Annotated[float, Ge(-100), Le(100)] = 1.0

    def apply(self, checkpoint: Checkpoint, given: Given) -> Checkpoint:
        """The continued base plus what the tuning changed."""
        for role in self.roles:
            if role not in given.models:
                mend = "Give the base before it was continued as `base`, and the tuned base as `instruct`."
                raise SeedbedError(self.name(), f"no model is given as {role!r}", mend)
        if unused := sorted(given.models.keys() - set(self.roles)):
            what = f"a model is given as {unused[0]!r}, which means nothing here"
            raise SeedbedError(self.name(), what, f"It takes {' and '.join(self.roles)}.")
        residual = TaskVector(self.scale, given.models["instruct"], given.models["base"], "instruct - base")
        return added(checkpoint, [residual])
