"""What must not be read again: hashes of the documents and URLs that a user asked to forget.

Only hashes are held, so that the list itself remembers neither text nor URL.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, cast

from seedbed.core.artifact import write_text
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import fingerprint

FILE = "forgotten.json"
REASON = "forgotten"
"""Of the records that reading drops for this list."""


@dataclasses.dataclass(frozen=True)
class Forgotten:
    """Records that reading drops.

    Args:
        ids: of documents, 16 bytes each; an id is itself a hash of file, offset and content.
        urls: `url_key` of URLs; every record with such a URL is dropped, in later crawls too.
    """

    ids: frozenset[bytes] = frozenset()
    urls: frozenset[bytes] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.ids or self.urls)

    def holds(self, key: bytes, url: str) -> bool:
        """Whether a record is to be dropped."""
        return key in self.ids or (bool(self.urls) and bool(url) and url_key(url) in self.urls)

    def joined(self, other: Forgotten) -> Forgotten:
        """Both lists."""
        return Forgotten(self.ids | other.ids, self.urls | other.urls)

    def fingerprint(self) -> str:
        """What a fingerprint covers of the list."""
        return fingerprint(
            {"ids": [key.hex() for key in sorted(self.ids)], "urls": [k.hex() for k in sorted(self.urls)]}
        )

    @classmethod
    def of(cls, out: Path) -> Forgotten:
        """The list of an output folder; empty where there is none."""
        file = out / FILE
        if not file.exists():
            return cls()
        try:
            told = cast("dict[str, list[str]]", json.loads(file.read_text(encoding="utf-8")))
            return cls(*(frozenset(bytes.fromhex(key) for key in told[name]) for name in ("ids", "urls")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            mend = "Restore it from a copy: without it a later run would read again what was forgotten."
            raise SeedbedError(str(file), f"is no list of what was forgotten ({error})", mend) from error

    def write(self, out: Path) -> None:
        """Store the list at the top of an output folder."""
        keys = {"ids": sorted(key.hex() for key in self.ids), "urls": sorted(key.hex() for key in self.urls)}
        write_text(out / FILE, json.dumps(keys, indent=1) + "\n")


NOTHING = Forgotten()


def url_key(url: str) -> bytes:
    """16 bytes of SHA-256 of a URL as it stands in the record."""
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).digest()[:16]


def forgotten_event(key: bytes, locator: str) -> dict[str, Any]:
    """What reading tells of a record that it drops: where it lies, and no more."""
    about = {"id": key, "locator": locator, "kind": "dropped", "reason": REASON}
    return {**about, "step": "", "message": "", "traceback": ""}
