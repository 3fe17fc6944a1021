"""Losses of two-domain mixtures that Ye et al. 2024, arXiv 2403.16952, released."""

import re
from pathlib import Path

import pytest

TRUTH = Path(__file__).parents[2] / "shared" / "truth" / "mixinglaws"
needs_truth = pytest.mark.skipif(not TRUTH.is_dir(), reason="published results are absent: ../shared/truth/mixinglaws")


def published(size):
    """(step, domain) -> {share of the first domain: loss}"""
    found = {}
    for line in (TRUTH / f"2mix_{size}.txt").read_text().splitlines():
        match = re.search(r"-([0-9.]+)-([0-9.]+)/(\d+)\s.*valid\.([\w-]+)\.bin\s+([0-9.]+)$", line)
        if match:
            found.setdefault((int(match[3]), match[4]), {})[float(match[1])] = float(match[5])
    return found
