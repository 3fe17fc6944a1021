"""URL: which documents have the same address, up to differences that do not change the page?

What      A 128-bit hash of the canonical URL; documents with equal hashes are one group.
Source    RFC 3986, sections 6.2.2 and 6.2.3, for case, escapes, ports and dots; the rest is usual for crawls.
Formula   canonical = host and path: lower-case host without www., default port and user dropped, escapes of unreserved
          characters undone and others in upper case, . and .. resolved, an index page and a slash at the end dropped,
          the fragment dropped; unless keep_scheme without http:// or https://; query parameters sorted by name, those
          in drop_parameters left out
Shapes    documents_N -> two 64-bit columns of N -> group_N.
Units     Hash bits; group in rows.
Fidelity  Exact: up to collisions of 128 bits. Two addresses that are equal after this may still be two pages where a
          server tells case of path (kept), index pages or the scheme apart.
Errors    No URL raises; what cannot be parsed is compared as it stands. A document without a URL has the hash 0 and is
          in no group but its own.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
from typing import ClassVar
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlencode, urlsplit

import numpy as np
import pyarrow as pa
import xxhash

from seedbed.core import arrow
from seedbed.core.arrow import Columns
from seedbed.core.nouns import DocumentBatch, Signal, signals_schema
from seedbed.curate.contract import Deduper, IntArray
from seedbed.text.repeats import groups

_PORTS = {"http": 80, "https": 443}
_INDEX = re.compile(r"/(?:index|default)\.(?:html?|php|aspx?)$", re.IGNORECASE)
_SAFE = "/!$&'()*+,;=:@"
"""Besides letters, digits and -._~, the characters that a path may hold as they are."""


@dataclasses.dataclass(frozen=True)
class Url(Deduper):
    """Which differences between two URLs do not count.

    Args:
        keep_scheme: whether http:// and https:// differ.
        drop_parameters: query parameters that only track a visitor; an asterisk at the end stands for any ending.
    """

    libraries: ClassVar[tuple[str, ...]] = ("xxhash",)
    columns: ClassVar[tuple[str, ...]] = ("url",)
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("url_hash_high", "upper 64 bits of the hash", "hash"),
        Signal("url_hash_low", "lower 64 bits of the hash", "hash"),
    )

    keep_scheme: bool = False
    drop_parameters: tuple[str, ...] = (
        "utm_*",
        "fbclid",
        "gclid",
        "msclkid",
        "mc_cid",
        "mc_eid",
        "PHPSESSID",
        "jsessionid",
    )

    def signatures(self, documents: DocumentBatch) -> pa.Table:
        """The hash of every canonical URL in two columns."""
        known = {url: self._hash(url) for url in set(documents.column("url"))}
        both = np.frombuffer(b"".join(known[url] for url in documents.column("url")), ">u8").astype(np.uint64)
        columns = {"url_hash_high": both[0::2], "url_hash_low": both[1::2]}
        return arrow.table(columns, signals_schema(self.signals))

    def groups(self, signatures: Columns) -> IntArray:
        """The smallest row with the same hash."""
        return groups.equal(arrow.numpy(signatures, "url_hash_high"), arrow.numpy(signatures, "url_hash_low"))

    def _hash(self, url: str) -> bytes:
        same = canonical(url, self.keep_scheme, self.drop_parameters)
        return xxhash.xxh3_128_digest(same.encode("utf-8", "surrogatepass")) if same else bytes(16)


def canonical(url: str, keep_scheme: bool = False, drop_parameters: tuple[str, ...] = ()) -> str:
    """The one spelling of a URL; the text itself where it has no host."""
    try:
        parts = urlsplit(url.strip())
        port, host = parts.port, (parts.hostname or "").rstrip(".").removeprefix("www.")
    except ValueError:
        return url.strip()
    if not host:
        return url.strip()
    scheme = parts.scheme.lower()
    place = f"{host}:{port}" if port not in (None, _PORTS.get(scheme)) else host
    path = _INDEX.sub("/", _resolved(_escaped(parts.path))).rstrip("/")
    pairs = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if not _is_dropped(k, drop_parameters)]
    query = f"?{urlencode(sorted(pairs))}" if pairs else ""
    return f"{scheme}://{place}{path}{query}" if keep_scheme else f"{place}{path}{query}"


def _escaped(path: str) -> str:
    """Every character in its one spelling; %2F stays apart from a slash."""
    return "%2F".join(quote(unquote_to_bytes(part), safe=_SAFE) for part in re.split("%2[Ff]", path))


def _resolved(path: str) -> str:
    return posixpath.normpath(path).replace("//", "/") if "/." in path else path


def _is_dropped(name: str, patterns: tuple[str, ...]) -> bool:
    return any(name.startswith(p[:-1]) if p.endswith("*") else name == p for p in patterns)
