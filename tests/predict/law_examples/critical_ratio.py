import numpy as np

from seedbed.predict.laws.critical_ratio import PUBLISHED, CriticalRatio, critical

LAW = CriticalRatio(n_bootstrap=0)


def runs() -> dict[str, list[float]]:
    tokens = np.geomspace(1e9, 2e10, 12)
    share = np.array([critical(each, *PUBLISHED["460M"]) for each in tokens])
    share = share + 0.001 * np.random.default_rng(0).standard_normal(len(share))
    return {"tokens": tokens.tolist(), "share": share.tolist()}
