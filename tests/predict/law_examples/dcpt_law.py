import itertools

import numpy as np

from seedbed.predict.laws.dcpt_law import DcptLaw

LAW = DcptLaw(n_starts=6, n_bootstrap=0)
GRID = tuple(itertools.product((1e6, 1e7, 1e8), (1e8, 1e9, 1e10), (0.02, 0.1, 0.4, 1.0)))


def law_loss(N, D, r):
    return 1.2 + 40 / N**0.3 + 150 * r**1.3 / D**0.4 + 0.6 / (r + 0.05) ** 0.3


def runs() -> dict[str, list[float]]:
    N, D, r = np.array(GRID).T
    loss = law_loss(N, D, r) * np.exp(0.003 * np.random.default_rng(0).standard_normal(len(N)))
    return {"params": N.tolist(), "tokens": D.tolist(), "share": r.tolist(), "loss": loss.tolist()}
