import itertools

import numpy as np

from seedbed.predict.laws.data_constrained import DataConstrained, published

LAW = DataConstrained(n_bootstrap=0)
FRESH = tuple((N, D, 1.0) for N, D in itertools.product((1e7, 3e7, 1e8, 3e8), (6e9, 2e10, 6e10, 2e11)))
REPEATED = tuple((N, D, e) for N, D in itertools.product((3e7, 1e8, 3e8), (6e9, 6e10)) for e in (3.0, 8.0, 16.0))


def runs() -> dict[str, list[float]]:
    N, D, epochs = np.array(FRESH + REPEATED).T
    loss = published().predict_all({"params": N, "tokens": D, "epochs": epochs})
    loss = loss * np.exp(0.001 * np.random.default_rng(0).standard_normal(len(N)))
    columns = {"params": N, "tokens": D, "unique_tokens": D / epochs, "loss": loss}
    return {name: values.tolist() for name, values in columns.items()}
