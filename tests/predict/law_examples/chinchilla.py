import numpy as np

from seedbed.predict.laws.chinchilla import Chinchilla

LAW = Chinchilla(n_bootstrap=0)
SIZES, LENGTHS = (1e7, 3e7, 1e8, 3e8), (2e8, 1e9, 5e9, 2e10)


def runs() -> dict[str, list[float]]:
    params, tokens = (grid.ravel() for grid in np.meshgrid(SIZES, LENGTHS))
    loss = 1.8172 + 482.01 / params**0.3478 + 2085.43 / tokens**0.3658
    loss = loss * np.exp(0.003 * np.random.default_rng(0).standard_normal(len(loss)))
    return {"params": params.tolist(), "tokens": tokens.tolist(), "loss": loss.tolist()}
