"""Input files: found, ordered, matched with a reader, hashed, and cut into shards. Never by worker count."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path, PurePath

from seedbed.core import remote
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import fingerprint, hash_bytes, hash_file
from seedbed.core.parameters import Json
from seedbed.core.remote import RemoteFile
from seedbed.curate.contract import Reader

_MAX_SHARD_FACTOR = 4
_N_ENDINGS = 5


@dataclasses.dataclass(frozen=True)
class Source:
    """One input file.

    Args:
        relative: its path below the input root, the name that ids are made from.
        path: where it lies now, or would lie; ask `local` for a file that can be read.
        reader: how to read it.
        size: bytes.
        content: hash of its bytes; of a remote file, its size and what its store says of its content.
        remote: the file in its store, where it is not on this machine.
    """

    relative: str
    path: Path
    reader: Reader
    size: int
    content: str
    remote: RemoteFile | None = None

    def identity(self) -> dict[str, Json]:
        """What the fingerprint covers."""
        return {"file": self.relative, "content": self.content, "reader": dict(self.reader.identity())}

    def key(self) -> str:
        """The same in short: two sources with this key give the same records."""
        return fingerprint(dict(self.identity()))

    @contextlib.contextmanager
    def local(self) -> Generator[Path, None, None]:
        """A local file with its bytes, for as long as it is needed."""
        if self.remote is None:
            yield self.path
            return
        with remote.fetched(self.remote) as path:
            yield path


def find_sources(inputs: Sequence[str | Path], readers: Sequence[Reader]) -> tuple[list[Source], list[str]]:
    """The input files sorted by relative path, and the relative paths in folders that no reader takes.

    The root is the folder given, or the common parent of several inputs. Raises SeedbedError for a missing input, a
    named file that no reader takes, and when nothing is found. Files in a store (`s3://...`) are listed, not fetched.
    """
    if not inputs:
        raise SeedbedError("input", "no file or folder was given", "Name at least one.")
    distant = [remote.is_remote(given) for given in inputs]
    if any(distant) and not all(distant):
        raise SeedbedError("input", "some inputs are in a store and some on this machine", "Give one kind at a time.")
    found, ignored = (_in_stores if all(distant) else _on_disk)(inputs, readers)
    if not found:
        names = ", ".join(map(str, inputs))
        known = ", ".join(dict.fromkeys(suffix.split(".")[1] for each in readers for suffix in each.suffixes))
        raise SeedbedError(names, _nothing_read(ignored), f"These kinds can be read: {known}.")
    return [found[name] for name in sorted(found)], sorted(set(ignored))


def _nothing_read(ignored: Sequence[str]) -> str:
    if not ignored:
        return "there is no file in it"
    counts = Counter(PurePath(name).suffix.lower() or "without an ending" for name in set(ignored))
    told = ", ".join(f"{n} {ending}" for ending, n in counts.most_common(_N_ENDINGS))
    return f"no file here can be read ({told}{', ...' if len(counts) > _N_ENDINGS else ''})"


def _on_disk(inputs: Sequence[str | Path], readers: Sequence[Reader]) -> tuple[dict[str, Source], list[str]]:
    paths = [Path(given).absolute() for given in inputs]
    for path in paths:
        if not path.exists():
            raise SeedbedError(str(path), "there is no such file or folder", "Check the path.")
    root = Path(os.path.commonpath([path if path.is_dir() else path.parent for path in paths]))
    found: dict[str, Source] = {}
    ignored: list[str] = []
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if not file.is_file():
                continue
            relative = file.relative_to(root).as_posix()
            reader = _taker(file.name, readers, must=str(file) if file == path else "")
            if reader is None:
                ignored.append(relative)
            elif relative not in found:
                reader.check(file)
                content = "+".join(map(hash_file, (file, *reader.companions(file))))
                found[relative] = Source(relative, file, reader, file.stat().st_size, content)
    return found, ignored


def _in_stores(inputs: Sequence[str | Path], readers: Sequence[Reader]) -> tuple[dict[str, Source], list[str]]:
    urls = [remote.url_of(given).rstrip("/") for given in inputs]
    listed = [remote.listing(url) for url in urls]
    for url, files in zip(urls, listed, strict=True):
        if not files:
            raise SeedbedError(url, "there is no such file or folder", "Check the URL.")
    folders = [_folder(url, files) for url, files in zip(urls, listed, strict=True)]
    root = os.path.commonpath(folders) if len({url.partition("://")[0] for url in urls}) == 1 else ""
    root = remote.url_of(root)
    found: dict[str, Source] = {}
    ignored: list[str] = []
    for url, files in zip(urls, listed, strict=True):
        for file in files:
            relative = file.url.removeprefix(root).lstrip("/")
            reader = _taker(file.name, readers, must=url if file.url == url else "")
            if reader is None:
                ignored.append(relative)
            else:
                if reader.libraries:
                    reader.check(Path(file.name))  # looks for its library; the file is not here yet
                content = f"{file.mark}:{file.size}"
                found[relative] = Source(relative, Path(file.name), reader, file.size, content, file)
    return found, ignored


def _folder(url: str, files: Sequence[RemoteFile]) -> str:
    """The folder that a URL names, or that the file or the pattern lies in."""
    is_file = len(files) == 1 and files[0].url == url
    return url.partition("*")[0].rpartition("/")[0] if is_file or "*" in url else url


def _taker(name: str, readers: Sequence[Reader], must: str) -> Reader | None:
    """The reader of a file name. Raises SeedbedError where there must be one and there is none."""
    reader = reader_for(name, readers)
    if reader is None and must:
        known = ", ".join(suffix for each in readers for suffix in each.suffixes)
        raise SeedbedError(must, "no reader takes this kind of file", f"Known endings: {known}.")
    return reader


def reader_for(name: str, readers: Sequence[Reader]) -> Reader | None:
    """The reader whose ending is the longest that fits this file name."""
    fits = [(len(suffix), reader) for reader in readers for suffix in reader.suffixes if name.lower().endswith(suffix)]
    return max(fits, key=lambda fit: fit[0])[1] if fits else None


def cut(sources: Sequence[Source], shard_bytes: int) -> list[tuple[Source, ...]]:
    """Neighbouring files in shards of about `shard_bytes`.

    Whether a shard ends behind a file, that file alone says (its hash, as likely as it is large), so that files which
    are added later leave all other shards as they were.
    """
    shards: list[tuple[Source, ...]] = []
    current: list[Source] = []
    size = 0
    for source in sources:
        if current and size + source.size > _MAX_SHARD_FACTOR * shard_bytes:
            shards.append(tuple(current))
            current, size = [], 0
        current.append(source)
        size += source.size
        chance = int.from_bytes(hash_bytes(source.relative.encode(), source.content.encode())[:8], "little")
        if chance * shard_bytes < source.size << 64:
            shards.append(tuple(current))
            current, size = [], 0
    return [*shards, tuple(current)] if current else shards
