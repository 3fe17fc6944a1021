import itertools

import numpy as np

from seedbed.predict.laws.cross_domain_dcpt import CrossDomainDcpt

LAW = CrossDomainDcpt(n_starts=6, n_bootstrap=0)
DOMAINS = {"code": (1.2, 0.9), "music": (2.6, 0.15), "chemistry": (3.0, 0.05)}
GRID = tuple(itertools.product((1e6, 1e7, 1e8), (1e8, 1e9, 1e10), (0.02, 0.1, 0.4, 1.0)))


def law_loss(N, D, r, K):
    return 0.8 + 40 / N**0.3 + 150 * r**1.3 / D**0.4 + 0.6 / (r + 0.05) ** 0.3 + 0.3 / K**0.8


def runs() -> dict[str, list[float]]:
    rows = [(1 / k1 + k2, *row) for k1, k2 in DOMAINS.values() for row in GRID]
    K, N, D, r = np.array(rows).T
    loss = law_loss(N, D, r, K) * np.exp(0.001 * np.random.default_rng(0).standard_normal(len(N)))
    columns = {"K": K, "params": N, "tokens": D, "share": r, "loss": loss}
    return {name: values.tolist() for name, values in columns.items()}
