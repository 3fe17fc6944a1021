"""A bandit with upper confidence bounds: which of K arms to pull, when each pull gives some rewards.

The bound of an arm is mean_k + alpha * sd * sqrt(2 ln(SUM_j pulls_j) / pulls_k) (UCB1; Auer, Cesa-Bianchi and Fischer
2002, Machine Learning 47:235-256, figure 1), with sd the deviation of all rewards so far, so that alpha has no unit; an
arm that was never pulled comes first. The mean forgets: each earlier pull counts `decay` of the one after it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class Bandit:
    """K arms, and what is known of them.

    Args:
        n_arms: K.
        alpha: how much an arm that is little known is favoured; 0 takes the best mean.
        decay: what a reward counts one pull of its arm later; 1 forgets nothing.

    Attributes:
        mean_K: running means; 0 for an arm that was never pulled.
        pulls_K: rewards seen of each.
    """

    def __init__(self, n_arms: int, *, alpha: float, decay: float = 1.0) -> None:
        self.mean_K, self.pulls_K = np.zeros(n_arms), np.zeros(n_arms, np.int64)
        self._alpha, self._decay = alpha, decay
        self._weight_K = np.zeros(n_arms)
        self._n, self._sum, self._squares = 0, 0.0, 0.0

    @property
    def deviation(self) -> float:
        """Standard deviation of all rewards so far."""
        if not self._n:
            return 0.0
        return max(self._squares / self._n - (self._sum / self._n) ** 2, 0.0) ** 0.5

    def bounds(self) -> FloatArray:
        """bound_K; infinite for an arm that was never pulled."""
        seen = self.pulls_K > 0
        width_K = np.sqrt(2 * np.log(max(self._n, 1)) / np.where(seen, self.pulls_K, 1))
        return np.where(seen, self.mean_K + self._alpha * self.deviation * width_K, np.inf)

    def best(self, n: int, open_K: npt.NDArray[np.bool_]) -> list[int]:
        """At most n arms of those open, highest bound first; the first of equals."""
        order = np.argsort(-self.bounds(), kind="stable")
        return order[open_K[order]][:n].tolist()

    def tell(self, arm: int, reward_R: FloatArray) -> None:
        """One pull of an arm, which gave these rewards. Raises ValueError for one that is not finite."""
        if not np.all(np.isfinite(reward_R)):
            raise ValueError(f"a reward of arm {arm} is not finite")
        if not len(reward_R):
            return
        before = self._decay * self._weight_K[arm]
        self._weight_K[arm] = before + len(reward_R)
        self.mean_K[arm] = (before * self.mean_K[arm] + reward_R.sum()) / self._weight_K[arm]
        self.pulls_K[arm] += len(reward_R)
        self._n += len(reward_R)
        self._sum += float(reward_R.sum())
        self._squares += float((reward_R**2).sum())
