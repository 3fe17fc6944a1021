import numpy as np

from seedbed.predict.laws.kaplan import PUBLISHED, Kaplan

LAW = Kaplan(n_bootstrap=0)


def runs() -> dict[str, list[float]]:
    N, D = (grid.ravel() for grid in np.meshgrid([1e6, 1e7, 1e8, 1e9], [1e7, 1e8, 1e9, 1e10, 1e11]))
    Nc, Dc, alpha_N, alpha_D = PUBLISHED.values()
    loss = ((Nc / N) ** (alpha_N / alpha_D) + Dc / D) ** alpha_D
    noise = np.exp(0.003 * np.random.default_rng(0).standard_normal(len(N)))
    return {"params": N.tolist(), "tokens": D.tolist(), "loss": (loss * noise).tolist()}
