"""Fingerprints: a hash of everything that shapes an artifact, and of nothing else.

Covered: noun, format, method, version, parameters, the content of inputs, the versions of libraries that shape the
output. Never covered: dates, absolute paths, workers, machine.
"""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path
from unicodedata import unidata_version

import xxhash

from seedbed.core.parameters import Json

FORMAT = 2
"""Raised when the layout of artifacts changes; old ones are then not found, and made anew."""


def canonical(value: Json) -> str:
    """JSON with one spelling: sorted keys, no spaces, shortest round-trip floats."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def fingerprint(value: Json) -> str:
    """128 bits of SHA-256 over the canonical JSON, in hex."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:32]


def hash_bytes(*parts: bytes) -> bytes:
    """16 bytes over length-prefixed parts, so that no two lists of parts collide by shifting a border."""
    digest = xxhash.xxh3_128()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


def hash_file(file: Path) -> str:
    """The content of a file as 128-bit hex, read in pieces."""
    digest = xxhash.xxh3_128()
    with file.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def library_versions(*names: str) -> dict[str, Json]:
    """Installed versions of the distributions that shape an output; "unicodedata" is Python's Unicode tables."""
    return {n: unidata_version if n == "unicodedata" else _version(n) for n in sorted(names)}


def _version(name: str) -> str:
    """Empty for a distribution that is not there: what needs it says so when it is asked to work."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
