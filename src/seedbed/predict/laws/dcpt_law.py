"""D-CPT law: forecasts a loss from model size, length and the share of the text that it is of; chooses that share.

What      Fits runs at several shares of one domain, sizes and lengths (all trained on from the same kind of model), and
          says what loss on that domain, or on all other text, a run will end at. predict/shares.py chooses with it: the
          largest share that general skill allows, the share when text of the domain is scarce, how to divide compute.
Source    Que et al. 2024, arXiv 2406.01375, section 3 (law, fit) and section 4 (uses).
Formula   L(N, D, r) = E + A / N^alpha + B r^eta / D^beta + C / (r + eps)^gamma, r the share of the text that the loss
          is of: one fit for the domain's loss, one for the general loss, whose share is 1 - the domain's.
          objective = SUM over runs of Huber_delta(ln L - ln loss), delta = 1e-3.
Shapes    params_N, tokens_N, share_N, loss_N -> 9 numbers; (params, tokens, share) -> (value, low, high)
Units     params in parameters and tokens in tokens (any multiple gives the same forecasts), share as a fraction, loss
          in nats per token or any other.
Fidelity  Adapted: logs are centred on the runs, and seeded starts replace a grid. All coefficients are kept above 0;
          that the loss falls with its own share, which the authors ask of the law, depends on the fit: where it does
          not, a warning says at which shares. Runs of one size, or of one length, are fitted without that term.
Errors    SeedbedError for a missing column, a number that cannot be (with its row), a share outside [0, 1], fewer runs
          than coefficients and one, and forecasts further than max_extrapolation from the runs. For the choices:
          where no share keeps the general loss, and for budgets too far beyond the runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Le

from seedbed.core.parameters import Json
from seedbed.predict.fitted import Fitted
from seedbed.predict.form import Form
from seedbed.predict.parametric import Parametric
from seedbed.predict.shares import ShareFitted, dcpt_form, specialised, spread


@dataclasses.dataclass(frozen=True)
class DcptLaw(Parametric):
    """E + A / N^alpha + B r^eta / D^beta + C / (r + eps)^gamma.

    Args:
        n_starts: descents; the lowest wins.
    """

    n_starts: Annotated[int, Ge(1), Le(10_000)] = 24

    def form(self, columns: Sequence[str]) -> Form:
        """Of share, and of params and tokens where the table has them."""
        return dcpt_form(columns, self.n_starts)

    def fit(self, runs: pa.Table) -> ShareFitted:
        """Fit the runs. Raises SeedbedError where they cannot carry the coefficients."""
        return specialised(ShareFitted, super().fit(runs))

    def load(self, fitted: Mapping[str, Json]) -> ShareFitted:
        """The inverse of ShareFitted.to_json."""
        return specialised(ShareFitted, super().load(fitted))

    def remarks(self, fitted: Fitted) -> Sequence[str]:
        """Where the loss rises with the share of its own text."""
        low, high = fitted.domain["share"]
        share_G = np.linspace(low, high, 101)
        shortest = {v.name: fitted.domain[v.name][0] for v in fitted.variables}
        rising = np.flatnonzero(np.diff(fitted.predict_all(spread(fitted, shortest, share_G))) > 0)
        if not len(rising):
            return ()
        between = f"{share_G[rising[0]]:.2g} and {share_G[rising[-1] + 1]:.2g}"
        return (f"the loss rises with share between {between}: not to be believed of the loss of that very text",)
