"""UniMax: every domain the same share, but none read more than a few times.

What      The budget is spread evenly over the domains, the smallest first; a domain that would be read more often than
          the cap gets the cap, and what it leaves goes to the others. No model is asked.
Source    Chung et al. 2023, arXiv 2304.09151, algorithm 1.
Formula   In order of size: part_d = min(left / domains left, max_epochs * tokens_d); left -= part_d.
          share_d = part_d / SUM_j part_j.
Shapes    tokens_D, budget_tokens -> share_D
Units     tokens; max_epochs in readings of a domain.
Fidelity  Exact: pouring evenly under caps ends at the same parts as the paper's loop, in any order. The paper counts
          characters, this counts tokens. max_epochs = 1 is what its umT5 models were trained with.
Errors    SeedbedError where no domain has a token. Without a budget nothing is capped: all shares are the same.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import numpy as np
from annotated_types import Gt

from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.select.mixing import Domains, Mixer, Mixture, Seen
from seedbed.stats.simplex import pour


@dataclasses.dataclass(frozen=True)
class Unimax(Mixer):
    """Parameters of the cap.

    Args:
        max_epochs: how often a domain may be read.
    """

    max_epochs: Annotated[float, Gt(0)] = 1.0

    def mixture(self, domains: Domains, seen: Seen, seed: int) -> Mixture:  # noqa: ARG002 - it looks at sizes alone
        """The shares, which domains are at the cap, and how much of the budget all caps together can fill."""
        size_D = domains.tokens_D.astype(np.float64)
        if not size_D.sum() > 0:
            raise SeedbedError(self.path(), "no domain has a token", "Give a pool with text.")
        filled = (size_D > 0).astype(np.float64)
        cap_D = size_D * self.max_epochs
        part_D = pour(filled, domains.budget_tokens, cap_D) if domains.budget_tokens else filled
        at_cap = (part_D >= cap_D) & (filled > 0) & (domains.budget_tokens > 0)
        capped: list[Json] = [name for name, at in zip(domains.names, at_cap, strict=True) if at]
        told: dict[str, Json] = {"capped": capped, "most_tokens": float(cap_D.sum())}
        return Mixture(part_D / part_D.sum(), told)
