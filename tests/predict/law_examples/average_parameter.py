"""Runs of the average-parameter law: dense ones and ones that were pruned on the way."""

import numpy as np

from seedbed.predict.laws.average_parameter import AverageParameter, average_of

A, B, E, ALPHA, BETA = 406.4, 410.7, 1.69, 0.34, 0.28
LAW = AverageParameter(n_bootstrap=0, params_count="total")


def runs() -> dict[str, list[float]]:
    """Four sizes, four lengths, each dense and pruned to a quarter over the middle half."""
    sizes, lengths, last = np.array([1e7, 4e7, 1.6e8, 6.4e8]), np.array([2e8, 1e9, 5e9, 2.5e10]), (1.0, 0.25)
    grid = [(n, d, n * share) for n in sizes for d in lengths for share in last]
    N, D, final = np.array(grid).T
    average = np.array(
        [average_of([n, (n + f) / 2, f], [d / 4, d / 2, d / 4]) for n, d, f in zip(N, D, final, strict=True)]
    )
    noise = np.exp(0.003 * np.random.default_rng(0).standard_normal(len(N)))
    loss = (E + A / average**ALPHA + B / D**BETA) * noise
    columns = {"params": N, "final_params": final, "average_params": average, "tokens": D, "loss": loss}
    return {name: values.tolist() for name, values in columns.items()}
