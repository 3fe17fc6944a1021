"""What objectives work out of a reading: pure functions over its pieces."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seedbed.train.contract import Reading


def is_metadata(reading: Reading) -> npt.NDArray[np.bool_]:
    """(S,) whether each token of a reading belongs to a document's metadata."""
    position_S = np.arange(len(reading.tokens))
    piece_S = np.searchsorted(reading.begin_P, position_S, side="right") - 1
    return position_S < (reading.begin_P + reading.metadata_P)[piece_S]
