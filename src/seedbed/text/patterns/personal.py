"""Personal data in texts: e-mail and IP addresses, telephone numbers, IBANs and payment cards."""

from __future__ import annotations

import numpy as np

from seedbed.core.nouns import DocumentBatch
from seedbed.text.kernel import Bytes, Hashes, Ints, kernel
from seedbed.text.patterns.addresses import email, ipv4, ipv6, top_level_domains
from seedbed.text.patterns.bytes import DIGIT, is_at
from seedbed.text.patterns.mask import Found, add
from seedbed.text.patterns.numbers import CALLING_CODES, IBAN_FORMS, card, iban, phone

KINDS = ("email", "phone", "ipv4", "ipv6", "iban", "card")
_EMAIL, _PHONE, _IPV4, _IPV6, _IBAN, _CARD = range(len(KINDS))
_ON_AT, _ON_DIGIT, _ON_SIGN = 1, 2, 3


def _triggers() -> Bytes:
    """Byte -> what may begin there, or hang on it."""
    table = np.zeros(256, np.uint8)
    table[ord("@")] = _ON_AT
    table[48:58] = _ON_DIGIT
    table[[ord("+"), ord("(")]] = _ON_SIGN
    return table


_TRIGGERS = _triggers()


def personal_data(documents: DocumentBatch) -> Found:
    """The personal data of a batch; ask through `documents.derive(personal_data)`."""
    return find(*documents.text_buffers())


def find(data: Bytes, offsets: Ints) -> Found:
    """The personal data of texts given as (bytes, offsets)."""
    found, n = _scan(data, offsets, top_level_domains(), IBAN_FORMS, CALLING_CODES)
    return Found.of(KINDS, found[:n])


@kernel
def _scan(data: Bytes, offsets: Ints, domains: Hashes, forms: Bytes, codes: Ints) -> tuple[Ints, int]:
    found, n = np.empty((64, 4), np.int64), 0
    for d in range(len(offsets) - 1):
        begin, stop = offsets[d], offsets[d + 1]
        at, free = begin, begin
        while at < stop:
            trigger = _TRIGGERS[data[at]]
            if trigger == 0:
                at += 1
                continue
            kind, start, end = -1, at, -1
            if trigger == _ON_AT:
                kind = _EMAIL
                start, end = email(data, begin, at, stop, domains)
            elif trigger == _ON_DIGIT:
                kind, start, end = _number(data, free, at, stop, forms, codes)
            else:
                kind, end = _PHONE, phone(data, free, at, stop, codes)
            if end >= 0:
                found, n = add(found, n, d, start - begin, end - begin, kind)
                at = free = end
            elif trigger == _ON_DIGIT:
                while is_at(data, at, stop, DIGIT):
                    at += 1
            else:
                at += 1
    return found, n


@kernel
def _number(data: Bytes, begin: int, at: int, stop: int, forms: Bytes, codes: Ints) -> tuple[int, int, int]:
    """(kind, start, end) of what the digits at `at` begin; end -1 for nothing."""
    start, end = iban(data, begin, at, stop, forms)
    if end >= 0:
        return _IBAN, start, end
    if data[at] == 50 or data[at] == 51:
        end = ipv6(data, begin, at, stop)
        if end >= 0:
            return _IPV6, at, end
    end = ipv4(data, begin, at, stop)
    if end >= 0:
        return _IPV4, at, end
    end = card(data, begin, at, stop)
    if end >= 0:
        return _CARD, at, end
    return _PHONE, at, phone(data, begin, at, stop, codes)
