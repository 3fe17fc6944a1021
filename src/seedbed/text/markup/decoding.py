"""Bytes of unknown encoding into text: byte order mark, declared charset, <meta>, UTF-8, then statistical detection.

Of a page, UTF-16 without a mark shows in its first tag, before anything that is declared.

Never raises: bytes that the chosen encoding cannot mean become U+FFFD.
"""

from __future__ import annotations

import codecs
from functools import lru_cache
from typing import Any, cast

from resiliparse.parse import encoding as _resiliparse_encoding

_encoding: Any = _resiliparse_encoding

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_WIDER = {
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
}
"""Python's codec -> the wider one that the web means by the same label."""


def decode_text(content: bytes, charset: str = "") -> str:
    """Plain text: byte order mark, then the declared charset, then UTF-8 where it is valid, then detection."""
    return _decode(content, charset, html=False)[0]


def decode_html(content: bytes, charset: str = "") -> tuple[str, bytes]:
    """A page as text and as UTF-8, which most pages are already: byte order mark, the charset of its transport, that
    of its <meta>, UTF-8 where valid, detection.
    """
    text, utf8 = _decode(content, charset, html=True)
    return text, utf8 if utf8 is not None else text.encode("utf-8", "replace")


def _decode(content: bytes, charset: str, html: bool) -> tuple[str, bytes | None]:
    """(text, content where it is the same in UTF-8)."""
    for mark, name in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(name, "replace"), None
    if html and (wide := _wide_start(content)):
        return content.decode(wide, "replace"), None
    declared = known_charset(charset) or (_meta_charset(content) if html else "")
    if declared not in ("", "utf-8"):
        return content.decode(declared, "replace"), None
    try:
        return content.decode("utf-8"), content
    except UnicodeDecodeError:
        found = declared or known_charset(cast(str, _encoding.detect_encoding(content)) or "") or "utf-8"
        return content.decode(found, "replace"), None


def _wide_start(content: bytes) -> str:
    """UTF-16 without a mark, as its first two characters show that begin a tag (XML 1.0, appendix F.1)."""
    if content[1:2] == b"\0" and content[3:4] == b"\0" and content[:1] == b"<" and content[2:3] != b"\0":
        return "utf-16-le"
    return "utf-16-be" if content[:2] == b"\0<" and content[2:3] == b"\0" and content[3:4] != b"\0" else ""


@lru_cache(maxsize=256)
def known_charset(label: str) -> str:
    """The Python codec a web label means (WHATWG Encoding, section 4.2), or empty; "latin1" means windows-1252."""
    name = cast("str | None", _encoding.map_encoding_to_html5(label.strip(" \t\r\n\"'").lower(), False))
    try:
        codec = codecs.lookup(name).name if name else ""
        return _WIDER.get(codec, codec)
    except LookupError:
        return ""


def _meta_charset(content: bytes) -> str:
    """What <meta> or the XML declaration says in the first 1,024 bytes; UTF-16 there can only mean UTF-8."""
    head = content[:1024]
    at = 0
    for key in (b"charset", b"encoding"):
        while (at := head.lower().find(key, at)) >= 0:
            at += len(key)
            value = head[at:].lstrip(b" \t\r\n")
            if value.startswith(b"="):
                label = value[1:].lstrip(b" \t\r\n\"'")[:40]
                for end in (b'"', b"'", b">", b";", b" ", b"/", b"?"):
                    label = label.split(end)[0]
                if name := known_charset(label.decode("latin-1")):
                    return "utf-8" if name.startswith("utf-16") else name
        at = 0
    return ""


def without_surrogates(text: str) -> str:
    """Text that UTF-8 can hold: pairs of surrogates are joined, a lone one becomes U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
