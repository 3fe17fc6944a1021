"""Files on other machines: any store that fsspec speaks (s3://, gs://, az://, http://, memory://), through one door.

A remote file is always moved whole: fetched to local disk before it is read, written locally before it is sent. So
readers stay simple, a broken transfer can be asked again, and nothing half-sent is taken for finished.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import re
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeVar, cast

from seedbed.core import optional
from seedbed.core.errors import SeedbedError

T = TypeVar("T")

ATTEMPTS = 6
"""How often a transfer is tried; the pauses between double from half a second."""

_FIRST_PAUSE_SECONDS = 0.5
_CREDENTIALS = (
    "Set the credentials of the store as its own programs read them (for S3: AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE), and check that they may do this here."
)
_NO_CREDENTIALS = (
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound", "NoAuthTokenError",
    "TokenRetrievalError", "UnauthorizedSSOTokenError", "SSOTokenLoadError", "DefaultCredentialsError", "RefreshError",
    "ClientAuthenticationError", "CredentialUnavailableError",
)  # fmt: skip
"""Names that botocore, google.auth and azure give to the lack of them."""
_STATUS = ("status", "status_code", "code")


@dataclasses.dataclass(frozen=True)
class RemoteFile:
    """One file of a store.

    Args:
        url: with its protocol, `s3://bucket/a/b.warc.gz`.
        size: bytes.
        mark: what the store says of its content: an ETag, a checksum, or else the date of the last change.
    """

    url: str
    size: int
    mark: str

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return self.url.rpartition("/")[2]


def is_remote(name: str | Path) -> bool:
    """Whether a name is a URL, also one that went through Path and lost a slash."""
    return re.match(r"[a-z][a-z0-9+.-]+:/", str(name)) is not None


def url_of(name: str | Path) -> str:
    """The URL, with the slash that Path takes away."""
    return re.sub(r"^([a-z][a-z0-9+.-]+):/+", r"\1://", str(name))


def inside(folder: str | Path, name: str) -> str:
    """A file of a folder here or in a store, as a user would write it."""
    return f"{url_of(folder).rstrip('/')}/{name}"


def listing(url: str) -> list[RemoteFile]:
    """The file, or all files below the folder, or those that match a pattern with *; in order of their URLs."""
    store, path = _store(url)

    def look() -> list[dict[str, Any]]:
        store.invalidate_cache()
        if "*" in path:
            found = cast("dict[str, dict[str, Any]]", store.glob(path, detail=True))
        else:
            found = cast("dict[str, dict[str, Any]]", store.find(path, detail=True))
        return [about for about in found.values() if about["type"] == "file"]

    protocol = url.partition("://")[0]
    found = [
        RemoteFile(f"{protocol}://{str(about['name']).lstrip('/')}", int(about["size"] or 0), _mark(about))
        for about in _retried(look, url)
    ]
    return sorted(found, key=lambda file: file.url)


def fetch(file: RemoteFile, to: Path) -> None:
    """Copy a remote file to `to`, which is there whole or not at all. Raises SeedbedError when it cannot be had."""
    store, path = _store(file.url)
    aside = to.with_name(f".{to.name}.{os.getpid()}.tmp")

    def get() -> None:
        store.get_file(path, str(aside))
        got = aside.stat().st_size
        if got != file.size:
            raise OSError(f"{got} of {file.size} bytes came")

    try:
        _retried(get, file.url)
        os.replace(aside, to)
    finally:
        aside.unlink(missing_ok=True)


@contextlib.contextmanager
def fetched(file: RemoteFile) -> Generator[Path, None, None]:
    """A local copy for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="seedbed-") as folder:
        path = Path(folder) / file.name
        fetch(file, path)
        yield path


def send(file: Path, url: str) -> None:
    """Copy a local file to a store. Raises SeedbedError when it cannot be stored whole."""
    store, path = _store(url)

    def put() -> None:
        store.put_file(str(file), path)
        store.invalidate_cache()
        stored = int(store.info(path)["size"])
        if stored != file.stat().st_size:
            raise OSError(f"{stored} of {file.stat().st_size} bytes were stored")

    _retried(put, url)


def remove(url: str) -> None:
    """Delete one file of a store; one that is gone already is no error."""
    store, path = _store(url)

    def delete() -> None:
        with contextlib.suppress(FileNotFoundError):
            store.rm_file(path)

    _retried(delete, url)


def _store(url: str) -> tuple[Any, str]:
    """(file system, path in it)."""
    try:
        store, path = optional.load("fsspec", "remote", url).url_to_fs(url)
    except (ImportError, ValueError) as error:
        mend = 'pip install "seedbed[remote]" brings fsspec and s3; other stores need their own fsspec package.'
        raise SeedbedError(url, f"this store cannot be reached ({error})", mend) from error
    return store, str(path)


def _retried(act: Callable[[], T], url: str) -> T:
    """What `act` gives; asked again while the store or the net fails."""
    pause = _FIRST_PAUSE_SECONDS
    for attempt in range(ATTEMPTS):
        try:
            return act()
        except FileNotFoundError as error:
            raise SeedbedError(url, "there is no such file or folder", "Check the URL.") from error
        except Exception as error:  # what a store throws for a lost connection is its own affair
            refused = _refusal(error)
            if refused:
                raise SeedbedError(url, refused, _CREDENTIALS) from error
            if attempt == ATTEMPTS - 1:
                mend = "The same command goes on where this one was."
                raise SeedbedError(url, f"failed {ATTEMPTS} times, last with: {error}", mend) from error
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause *= 2
    raise AssertionError("unreachable")


def _refusal(error: BaseException) -> str:
    """Why asking again is of no use: the store does not know this user; empty where it may be of use.

    Stores are not imported to compare classes: their errors are known by name and by HTTP status.
    """
    told: BaseException | None = error
    while told is not None:
        if type(told).__name__ in _NO_CREDENTIALS:
            return f"no valid credentials for this store are set ({told})"
        if isinstance(told, PermissionError) or _http_status(told) in (401, 403):
            return f"the store refuses access ({told})"
        told = told.__cause__ or told.__context__
    return ""


def _http_status(error: BaseException) -> int | None:
    """The HTTP status that an error of a store's library carries: s3, gs and az each have their own place for it."""
    response = getattr(error, "response", None)
    told = cast("dict[str, dict[str, object]]", response) if isinstance(response, dict) else {}
    for status in (
        told.get("ResponseMetadata", {}).get("HTTPStatusCode"),
        *(getattr(error, name, None) for name in _STATUS),
    ):
        if str(status).isdigit():
            return int(str(status))
    return None


def _mark(about: dict[str, Any]) -> str:
    for key in ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "mtime", "created"):
        if about.get(key):
            return str(about[key]).strip('"')
    return ""
