"""Accuracy over loss as the task ladder finds it on HellaSwag."""

import numpy as np

from seedbed.predict.laws.sigmoid import Sigmoid

LAW = Sigmoid(n_bootstrap=0)


def runs() -> dict[str, list[float]]:
    loss = np.linspace(0.6, 1.1, 30)
    noise = 0.003 * np.random.default_rng(0).standard_normal(len(loss))
    accuracy = -0.73 / (1 + np.exp(-12.7 * (loss - 0.767))) + 0.99 + noise
    return {"loss": loss.tolist(), "accuracy": accuracy.tolist()}
