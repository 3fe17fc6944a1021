import numpy as np
from scipy import optimize

from seedbed.predict.laws.trajectory import KAPLAN, Trajectory

LAW = Trajectory(n_bootstrap=0, skip_first=0.0)


def runs() -> dict[str, list[float]]:
    rng = np.random.default_rng(0)
    N, S, B = (g.ravel() for g in np.meshgrid([1e6, 8e6, 6e7], [1e4, 1e5, 1e6], [1e5, 1e6, 4e6, 2e7]))

    def loss(n: float, s: float, b: float) -> float:
        def gap(at: float) -> float:
            critical = KAPLAN["B_star"] / at ** (1 / KAPLAN["alpha_B"])
            steps = KAPLAN["Sc"] / s * (1 + critical / b)
            return (KAPLAN["Nc"] / n) ** KAPLAN["alpha_N"] + steps ** KAPLAN["alpha_S"] - at

        return optimize.brentq(gap, 0.1, 1e3, xtol=1e-12)

    exact = np.array([loss(*one) for one in zip(N, S, B, strict=True)])
    noisy = exact * np.exp(0.003 * rng.standard_normal(len(N)))
    return {"params": N.tolist(), "steps": S.tolist(), "batch_tokens": B.tolist(), "loss": noisy.tolist()}
