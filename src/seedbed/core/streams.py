"""Compressed files as pieces of bounded size, and lines of bounded length.

What was stored before a break is given before the break is told: a reader can keep it and account for the rest.
"""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import zstandard

PIECE_BYTES = 1 << 18
"""No piece is larger where a file is plain, gzip or bzip2; a zstd piece can reach 8 MiB, and only in a bomb."""

_READ_BYTES = 1 << 16
_ZSTD_READ_BYTES = 1 << 7  # a zstd block of 4 bytes can stand for 128 KiB, and python-zstandard has no output limit
_ZSTD_WINDOW_BYTES = 1 << 27
_GZIP_MAGIC, _ZSTD_MAGIC, _BZIP2_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh"


class BrokenStream(Exception):  # noqa: N818  it is a state of a file, told to a reader, and never reaches a user
    """The rest of a file cannot be read.

    Args:
        kind: corrupt_gzip, truncated_gzip, corrupt_zstd, truncated_zstd, corrupt_bzip2 or truncated_bzip2.
        message: what broke, and at which byte of the file.
        suspect_from: the decompressed byte where a damaged gzip member begins, or None. Damage shows late, at the
            latest in the checksum, so that what was last given of the member may be wrong.
    """

    def __init__(self, kind: str, message: str, suspect_from: int | None = None) -> None:
        super().__init__(kind, message, suspect_from)
        self.kind, self.message, self.suspect_from = kind, message, suspect_from


def pieces(file: Path) -> Iterator[bytes]:
    """The decompressed content of a file. Raises BrokenStream where it breaks, after all that can be had.

    Compression shows in the first bytes; a file named .gz, .zst or .bz2 must be what its name says.
    """
    with file.open("rb") as raw:
        head = raw.read(4)
        raw.seek(0)
        if head.startswith(_GZIP_MAGIC) or file.suffix.lower() == ".gz":
            yield from _gunzip(raw)
        elif head == _ZSTD_MAGIC or file.suffix.lower() == ".zst":
            yield from _unzstd(raw)
        elif head.startswith(_BZIP2_MAGIC) or file.suffix.lower() == ".bz2":
            yield from _unbzip2(raw)
        else:
            while piece := raw.read(PIECE_BYTES):
                yield piece


def _gunzip(raw: BinaryIO) -> Iterator[bytes]:
    given, member_start, members = 0, 0, 0
    member = zlib.decompressobj(31)
    fed = False
    while True:
        pending = raw.read(_READ_BYTES)
        if not pending:
            break
        while pending:
            if not fed and members and not pending.strip(b"\0"):
                break  # tape padding between and after members, as gzip itself takes it
            fed, before = True, member.copy()
            try:
                out, failed = member.decompress(pending, PIECE_BYTES), None
            except zlib.error as error:
                out, failed = _before_break(before, pending), error
            given += len(out)
            if out:
                yield out
            if failed is not None:
                message = f"{failed} in gzip member {members}, before byte {raw.tell()} of the file"
                raise BrokenStream("corrupt_gzip", message, member_start)
            pending = member.unused_data if member.eof else member.unconsumed_tail
            if member.eof:
                member, member_start, members, fed = zlib.decompressobj(31), given, members + 1, False
    if fed or not members:
        message = f"the file ends inside gzip member {members}, at byte {raw.tell()}"
        raise BrokenStream("truncated_gzip", message, member_start)  # damage can also make a member swallow the rest


def _before_break(member: zlib._Decompress, pending: bytes) -> bytes:  # pyright: ignore[reportPrivateUsage]
    """What a failed call would have given before it failed: zlib throws it away, so it is fed byte by byte."""
    out = bytearray()
    try:
        for i in range(len(pending)):
            out += member.decompress(pending[i : i + 1])
    except zlib.error:
        return bytes(out)
    return bytes(out)


def _unzstd(raw: BinaryIO) -> Iterator[bytes]:
    def fresh() -> zstandard.ZstdDecompressionObj:
        return zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj(write_size=1 << 15)

    frame, frames, fed = fresh(), 0, False
    while pending := raw.read(_ZSTD_READ_BYTES):
        while pending:
            fed = True
            try:
                out = frame.decompress(pending)
            except zstandard.ZstdError as error:
                message = f"{error} in zstd frame {frames}, near byte {raw.tell()} of the file"
                raise BrokenStream("corrupt_zstd", message) from error
            if out:
                yield out
            pending = frame.unused_data if frame.eof else b""
            if frame.eof:
                frame, frames, fed = fresh(), frames + 1, False
    if fed or not frames:
        raise BrokenStream("truncated_zstd", f"the file ends inside zstd frame {frames}, at byte {raw.tell()}")


def _unbzip2(raw: BinaryIO) -> Iterator[bytes]:
    """One stream or several: dumps that are read in parallel have a stream for every hundred pages."""
    stream, streams, fed = bz2.BZ2Decompressor(), 0, False
    while pending := raw.read(_READ_BYTES):
        while pending or not stream.needs_input:
            fed = True
            try:
                out = stream.decompress(pending, PIECE_BYTES)
            except OSError as error:
                message = f"{error} in bzip2 stream {streams}, before byte {raw.tell()} of the file"
                raise BrokenStream("corrupt_bzip2", message) from error
            if out:
                yield out
            pending = b""
            if stream.eof:
                pending, stream, streams, fed = stream.unused_data, bz2.BZ2Decompressor(), streams + 1, False
    if fed or not streams:
        raise BrokenStream("truncated_bzip2", f"the file ends inside bzip2 stream {streams}, at byte {raw.tell()}")


def lines(content: Iterable[bytes], max_bytes: int) -> Iterator[tuple[bytes, bool]]:
    """(line without its newline, whole): of a line longer than `max_bytes` only that many bytes are held and given.

    A line that a BrokenStream cuts short is not given.
    """
    held: list[bytes] = []
    size = 0
    for piece in content:
        first, *rest = piece.split(b"\n")
        _hold(held, size, first, max_bytes)
        size += len(first)
        for part in rest:
            yield b"".join(held), size <= max_bytes
            held, size = [part[:max_bytes]], len(part)
    if size:
        yield b"".join(held), size <= max_bytes


def _hold(held: list[bytes], size: int, part: bytes, max_bytes: int) -> None:
    if size < max_bytes:
        held.append(part[: max_bytes - size])
