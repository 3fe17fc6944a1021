"""An output folder on a remote store: worked on as a local copy, and kept in step with the store.

Artifacts are immutable and their manifest is sent last, so that what the store shows as finished is. One run at a time
writes to a store; stores offer no lock that would enforce it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from seedbed.core import remote
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import hash_file
from seedbed.core.parameters import Json

SCRATCH = "SEEDBED_SCRATCH"
"""The environment variable that says where local copies lie; by default ~/.cache/seedbed."""
_IN_STEP = ".store.json"


@dataclasses.dataclass(frozen=True, init=False)
class Mirror:
    """A remote output folder and its local copy.

    Args:
        url: the folder in the store.
    """

    url: str
    local: Path

    def __init__(self, url: str) -> None:
        object.__setattr__(self, "url", remote.url_of(url).rstrip("/"))
        scratch = Path(os.environ.get(SCRATCH) or Path.home() / ".cache" / "seedbed")
        object.__setattr__(self, "local", scratch / hashlib.sha256(self.url.encode()).hexdigest()[:16])

    def pull(self) -> None:
        """Fetch what is new in the store, drop what was taken away there. Raises SeedbedError for a damaged artifact.

        What was made here since the last `push` stays, and is newer than what the store has by the same name.
        """
        there, known = self._listing(), self._in_step()
        for name in known.keys() - there.keys():
            self._drop(name)
        finished = {name.rpartition("/")[0] for name in there if name.endswith("/manifest.json")}
        changed = {name for name, file in there.items() if not file.mark or known.get(name) != file.mark}
        for name, file in there.items():
            folder, to = name.rpartition("/")[0], self.local / name
            is_unfinished = name.startswith("artifacts/") and folder != "artifacts" and folder not in finished
            if is_unfinished or (to.exists() and name not in changed):
                continue
            if folder in finished and to.exists() and to.stat().st_size == file.size:
                continue
            to.parent.mkdir(parents=True, exist_ok=True)
            remote.fetch(file, to)
        for folder in finished & {name.rpartition("/")[0] for name in changed}:
            _verify(self.local / folder)
        self._remember(there)

    def push(self) -> None:
        """Send what the store lacks, manifests after their files, and delete what was taken away here."""
        there, known = self._listing(), self._in_step()
        here = [file for file in sorted(self.local.rglob("*")) if file.is_file() and _lasting(file, self.local)]
        for file in sorted(here, key=lambda file: (file.name == "index.json", file.name == "manifest.json")):
            name = file.relative_to(self.local).as_posix()
            immutable = (file.parent / "manifest.json").exists()
            if not (immutable and name in there and there[name].size == file.stat().st_size):
                remote.send(file, f"{self.url}/{name}")
        names = {file.relative_to(self.local).as_posix() for file in here}
        for name in sorted((there.keys() & known.keys()) - names):
            remote.remove(f"{self.url}/{name}")
        self._remember(self._listing())

    def _listing(self) -> dict[str, remote.RemoteFile]:
        return {file.url.removeprefix(self.url + "/"): file for file in remote.listing(self.url)}

    def _in_step(self) -> dict[str, str]:
        """What the store held when this copy was last in step with it: the mark of each file by its name."""
        file = self.local / _IN_STEP
        return cast("dict[str, str]", json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}

    def _remember(self, there: Mapping[str, remote.RemoteFile]) -> None:
        self.local.mkdir(parents=True, exist_ok=True)
        aside = self.local / f"{_IN_STEP}.{os.getpid()}.tmp"
        aside.write_text(json.dumps({name: file.mark for name, file in there.items()}), encoding="utf-8")
        os.replace(aside, self.local / _IN_STEP)

    def _drop(self, name: str) -> None:
        file = self.local / name
        file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a folder that holds more stays
            file.parent.rmdir()


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
