"""Preferred hosts: of the same documents, the one from a site named first.

What      Prefers documents from the named sites and their subdomains, earlier names over later ones, and any of them
          over all others: the original over its mirrors.
Source    none; what every editor of a crawl does by hand.
Formula   worth = number of hosts - place of the first host that the document's host equals or ends in after a dot;
          0 where there is none
Shapes    candidates_M -> worth_M.
Units     Rank.
Fidelity  Exact: a host is what stands between // and the next / ? # or port of the URL, in lower case, without www.
Errors    None raises. A document without a URL has the worth 0.
"""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pyarrow as pa

from seedbed.core import arrow
from seedbed.curate.contract import FloatArray, Survivor

_HOST = re.compile(r"//(?:[^/?#@]*@)?(?:www\.)?([^/?#:]*)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class PreferredHosts(Survivor):
    """The sites.

    Args:
        hosts: the most preferred first: `example.org` also means `docs.example.org`.
    """

    hosts: tuple[str, ...] = ()

    def reads(self) -> tuple[str, ...]:
        """The URL."""
        return ("url",)

    def worth(self, candidates: pa.Table) -> FloatArray:
        """How early the host is named."""
        endings = [f".{host.lower().removeprefix('www.')}" for host in self.hosts]
        return np.array([_worth(url or "", endings) for url in arrow.strings(candidates, "url")], np.float64)


def _worth(url: str, endings: list[str]) -> int:
    found = _HOST.search(url)
    host = f".{found.group(1).lower()}" if found else ""
    return next((len(endings) - place for place, ending in enumerate(endings) if host.endswith(ending)), 0)
