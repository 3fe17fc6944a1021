"""An output folder on a remote store: worked on as a local copy, and kept in step with the store.

Artifacts are immutable and their manifest is sent last, so that what the store shows as finished is. One run at a time
writes to a store; stores offer no lock that would enforce it.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import cast

from seedbed.core import remote
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import hash_file
from seedbed.core.parameters import Json

SCRATCH = "SEEDBED_SCRATCH"
"""The environment variable that says where local copies lie; by default ~/.cache/seedbed."""


class Mirror:
    """A remote output folder and its local copy.

    Args:
        url: the folder in the store.
    """

    def __init__(self, url: str) -> None:
        self.url = remote.url_of(url).rstrip("/")
        scratch = Path(os.environ.get(SCRATCH) or Path.home() / ".cache" / "seedbed")
        self.local = scratch / hashlib.sha256(self.url.encode()).hexdigest()[:16]

    def pull(self) -> None:
        """Fetch finished artifacts and other files that are not here. Raises SeedbedError for a damaged one."""
        files = {file.url.removeprefix(self.url + "/"): file for file in remote.listing(self.url)}
        finished = {name.rpartition("/")[0] for name in files if name.endswith("/manifest.json")}
        for name, file in files.items():
            folder = name.rpartition("/")[0]
            to = self.local / name
            unfinished = name.startswith("artifacts/") and folder != "artifacts" and folder not in finished
            if unfinished or (to.exists() and to.stat().st_size == file.size and folder in finished):
                continue
            to.parent.mkdir(parents=True, exist_ok=True)
            remote.fetch(file, to)
        for folder in finished:
            _verify(self.local / folder)

    def push(self) -> None:
        """Send what the store lacks, manifests after their files, and delete what is no longer here."""
        there = {file.url.removeprefix(self.url + "/"): file.size for file in remote.listing(self.url)}
        here = [file for file in sorted(self.local.rglob("*")) if file.is_file() and _lasting(file, self.local)]
        for file in sorted(here, key=lambda file: (file.name == "index.json", file.name == "manifest.json")):
            name = file.relative_to(self.local).as_posix()
            immutable = (file.parent / "manifest.json").exists()
            if not (immutable and there.get(name) == file.stat().st_size):
                remote.send(file, f"{self.url}/{name}")
        for name in sorted(set(there) - {file.relative_to(self.local).as_posix() for file in here}):
            remote.remove(f"{self.url}/{name}")


def _lasting(file: Path, root: Path) -> bool:
    """Whether a file belongs to the folder for good: no lock, no half-made artifact."""
    parts = file.relative_to(root).parts
    return not any(part.startswith(".") or part.endswith(".partial") for part in parts)


def _verify(folder: Path) -> None:
    manifest = cast("dict[str, Json]", json.loads((folder / "manifest.json").read_text(encoding="utf-8")))
    for told in cast("list[dict[str, Json]]", manifest["files"]):
        file = folder / str(told["name"])
        if not file.exists() or hash_file(file) != told["hash"]:
            mend = "Delete this artifact's folder in the store; it will be made again."
            raise SeedbedError(str(file), "does not match its manifest", mend)
