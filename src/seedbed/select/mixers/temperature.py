"""Temperature: flattens the pool's own shares, so that small domains are read more often.

What      Each domain's share is its share of the pool to the power 1 / T, and the shares are divided by their sum.
          T = 1 is the pool as it is, a large T the same share for all. No model is asked.
Source    Devlin 2018, the multilingual BERT readme (exponent 0.7); Xue et al. 2021, arXiv 2010.11934 (mT5), section
          3.2 (exponent 0.3).
Formula   share_d = tokens_d^(1 / T) / SUM_j tokens_j^(1 / T)
Shapes    tokens_D -> share_D
Units     tokens; temperature without a unit (1 / exponent).
Fidelity  Exact. mT5 counts examples and others count characters; here a domain's size is its tokens.
Errors    SeedbedError where no domain has a token. A domain without tokens gets a share of 0.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import numpy as np
from annotated_types import Gt, Le

from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.select.mixing import Domains, Mixer, Mixture, Seen


@dataclasses.dataclass(frozen=True)
class Temperature(Mixer):
    """Parameters of the flattening.

    Args:
        temperature: 1 keeps the pool's shares; 10/3 is mT5's exponent of 0.3.
    """

    temperature: Annotated[float, Gt(0), Le(1e6)] = 10 / 3

    def mixture(self, domains: Domains, seen: Seen, seed: int) -> Mixture:  # noqa: ARG002 - it looks at sizes alone
        """The flattened shares, and how often each domain will be read."""
        size_D = domains.tokens_D.astype(np.float64)
        if not size_D.sum() > 0:
            raise SeedbedError(self.path(), "no domain has a token", "Give a pool with text.")
        log_D = np.log(np.maximum(size_D, 1e-300) / size_D.max()) / self.temperature
        weight_D = np.where(size_D > 0, np.exp(log_D), 0.0)
        share_D = weight_D / weight_D.sum()
        epochs = share_D * domains.budget_tokens / np.maximum(size_D, 1.0)
        told: dict[str, Json] = {"most_epochs": float(epochs.max())}
        return Mixture(share_D, told)
