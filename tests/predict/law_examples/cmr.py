import numpy as np

from seedbed.predict.laws.cmr import Cmr

LAW = Cmr(n_bootstrap=0)


def runs() -> dict[str, list[float]]:
    R = np.array([0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9, 1.0])
    loss = 0.5 * R**-0.4 + 1.0 + 0.003 * np.random.default_rng(0).standard_normal(len(R))
    return {"share": R.tolist(), "loss": loss.tolist()}
