"""Runs of the data mixing law: three domains, mixtures spread over the simplex."""

import numpy as np

from seedbed.predict.laws.data_mixing_law import DataMixingLaw

C, K, T = 1.9, 0.9, np.array([-1.6, 0.3, 1.3])
NAMES = ("share_code", "share_web", "share_books")
LAW = DataMixingLaw(n_bootstrap=0)


def runs() -> dict[str, list[float]]:
    """24 mixtures."""
    rng = np.random.default_rng(0)
    share_ND = rng.dirichlet(np.ones(3), 24)
    loss = (C + K * np.exp(share_ND @ T)) * np.exp(0.003 * rng.standard_normal(24))
    columns = dict(zip(NAMES, share_ND.T.tolist(), strict=True))
    return {**columns, "loss": loss.tolist()}
