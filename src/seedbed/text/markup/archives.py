"""Zip archives of documents, opened only where what they hold is bounded."""

from __future__ import annotations

import io
import zipfile
import zlib

BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError, ValueError, NotImplementedError, RuntimeError)
"""What reading a member of a damaged, encrypted or unusual archive can raise."""

_MAX_MEMBERS = 100_000


class UnboundedError(Exception):
    """An archive that unpacks to too much."""


def open_bounded(content: bytes, max_unpacked_bytes: int) -> zipfile.ZipFile:
    """The archive. A member never gives more than it declares, so that the declared sizes bound all that can come.

    Raises UnboundedError beyond `max_unpacked_bytes`, and one of BROKEN for what is no archive.
    """
    archive = zipfile.ZipFile(io.BytesIO(content))
    members = archive.infolist()
    size = sum(member.file_size for member in members)
    if size > max_unpacked_bytes or len(members) > _MAX_MEMBERS:
        raise UnboundedError(f"unpacks to {size} bytes in {len(members)} files, where {max_unpacked_bytes} may be")
    return archive
