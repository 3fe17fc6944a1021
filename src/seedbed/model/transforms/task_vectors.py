"""Task vectors: what several trainings of one base taught, added up in one model.

What      A task vector is what a training changed: tuned weights minus those of the base. The checkpoint is the base;
          the vectors of any number of models that were trained from it are added to it, each with its scale. A scale
          below 0 takes a vector away, which unlearns what that training taught.
Source    Ilharco et al. 2023 (Editing models with task arithmetic), arXiv 2212.04089, sections 2, 3 and 4.
Formula   tau_i = theta_i - theta_base;  theta = theta_base + SUM_i lambda_i tau_i
Shapes    a checkpoint and models of its shape -> a checkpoint of that shape
Units     lambda: a factor; weights are summed in float64 and rounded once
Fidelity  Exact for models of one tokenizer: lambda = 1 with one model gives that model to the bit. The paper chooses
          lambda on held-out data; here it is given. Where a model has another tokenizer, which the paper does not meet,
          tau has the rows of shared tokens only.
Errors    No model, as many scales as there are not models, or models of another shape raise SeedbedError.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

from annotated_types import Ge, Le

from seedbed.core.errors import SeedbedError
from seedbed.model.merging import TaskVector, added
from seedbed.model.transforming import Checkpoint, Given, Transform


@dataclasses.dataclass(frozen=True)
class TaskVectors(Transform):
    """Task arithmetic. The role `tuned` must be filled; further models may be given under any names.

    Args:
        scale: lambda of every model.
        scales: lambda of each model instead, in the order of their roles by alphabet.
    """

    roles: ClassVar[tuple[str, ...]] = ("tuned",)

    scale: Annotated[float, Ge(-100), Le(100)] = 1.0
    scales: tuple[Annotated[float, Ge(-100), Le(100)], ...] = ()

    def apply(self, checkpoint: Checkpoint, given: Given) -> Checkpoint:
        """The checkpoint plus all vectors."""
        roles = sorted(given.models)
        if not roles:
            raise SeedbedError(self.name(), "no tuned model is given", "Give at least one that began as this model.")
        scales = self.scales or (self.scale,) * len(roles)
        if len(scales) != len(roles):
            what = f"{len(scales)} scales for {len(roles)} models ({', '.join(roles)})"
            raise SeedbedError(f"{self.name()}.scales", what, "Give one for each, in the order of their roles.")
        vectors = [
            TaskVector(scale, given.models[role], checkpoint, role) for scale, role in zip(scales, roles, strict=True)
        ]
        return added(checkpoint, vectors)
