"""Numbers that name a person or an account: IBAN, payment card, telephone. Kernels that judge one candidate each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seedbed.text.kernel import Bytes, Ints, kernel
from seedbed.text.patterns.bytes import (
    ALNUM,
    DIGIT,
    DOT,
    MINUS,
    SLASH,
    SPACE,
    UPPER,
    is_a,
    is_at,
    is_known,
    packed,
    scheme_before,
    tail_before,
)

# The national parts of IBANs: n digits, a capital letters, c either. SWIFT IBAN Registry, release 101.
_IBAN = """
AD:8n12c AE:19n AL:8n16c AT:16n AZ:4a20c BA:16n BE:12n BG:4a6n8c BH:4a14c BI:23n BR:23n1a1c BY:4c4n16c CH:5n12c CR:18n
CY:8n16c CZ:20n DE:18n DJ:23n DK:14n DO:4c20n EE:16n EG:25n ES:20n FI:14n FK:2a12n FO:14n FR:10n11c2n GB:4a14n GE:2a16n
GI:4a15c GL:14n GR:7n16c GT:24c HN:4a20n HR:17n HU:24n IE:4a14n IL:19n IQ:4a15n IS:22n IT:1a10n12c JO:4a4n18c KW:4a22c
KZ:3n13c LB:4n20c LC:4a24c LI:5n12c LT:16n LU:3n13c LV:4a13c LY:21n MC:10n11c2n MD:20c ME:18n MK:3n10c2n MN:16n MR:23n
MT:4a5n18c MU:4a19n3a NI:4a20n NL:4a10n NO:11n OM:3n16c PK:4a16c PL:24n PS:4a21c PT:21n QA:4a21c RO:4a16c RS:18n
RU:14n15c SA:2n18c SC:4a20n3a SD:14n SE:20n SI:15n SK:20n SM:1a10n12c SO:19n ST:21n SV:4a20n TL:19n TN:20n TR:6n16c
UA:6n19c VA:18n VG:4a16n XK:16n YE:4a4n18c
"""
# Digits of a national number by country calling code (ITU-T E.164): the lengths that libphonenumber 9.0 knows.
_CALLING_CODES = """
5-5: 290 500 682; 5-6: 247; 5-7: 676 677 678 683 688 690; 5-8: 47 386 686; 5-10: 27 64 98 685; 5-11: 31 352 852;
5-12: 358 598 971; 5-13: 43 49 82; 6-6: 298 299 672 687; 6-7: 597; 6-9: 40 252 355 376 421 508 681 689;
6-10: 46 53 95 880; 6-11: 375 595; 6-12: 39 61 359 381; 6-13: 63; 7-7: 238 239 246 248 269 291 297 592 673 674 680 691
692; 7-8: 241 599 670 675 853 961 965 975; 7-9: 220 231 245 265 354 385 423 967 968; 7-10: 44 48 84 230 243 254 263 267
353 372 960; 7-11: 501 503 507 679 886 974; 7-12: 86 882 972; 7-13: 62 90; 8-8: 45 216 222 223 226 227 228 232 235 236
253 257 266 350 356 357 370 371 373 374 389 505 509 800 808 973 993; 8-9: 32 36 51 213 224 233 237 250 258 264 268 377
382 387 591 962 963; 8-10: 20 60 378 506 850 855 856 964 970 976; 8-11: 55 57 65 502 504 593 977; 8-12: 92 383 883;
8-13: 66 81 91; 9-9: 33 34 41 93 94 211 212 218 221 240 242 244 249 251 255 256 260 261 262 351 420 590 594 596 979 992
994 995 998; 9-10: 380 881 966 996; 9-11: 56; 9-12: 870; 10-10: 1 52 58 225 229; 10-11: 54; 10-12: 30 234; 10-14: 7;
11-11: 888; 12-12: 878
"""
_PHONE_WORDS = packed(
    "tel tél telephone telephones phone phones fax facsimile mobile cell cellphone whatsapp ph mob telefon telefono "
    "teléfono téléphone telefone telefax handy mobil móvil gsm tlf tfno тел Тел телефон факс Факс моб τηλ โทร"
)
_PHONE_SUFFIXES = packed("电话 電話 手机 手機 传真 傳真 热线 전화 팩스 携帯", 6)
_NBSP = 0xC2
_MAX_IBAN, _LETTERS = 34, 26
_DIGIT_ONLY, _LETTER_ONLY, _EITHER = 1, 2, 3
_OPEN, _CLOSE, _PLUS = ord("("), ord(")"), ord("+")
_LEAST_UNSPACED_DIGITS = 10
_LEAST_KEYWORD_DIGITS, _MOST_KEYWORD_DIGITS = 6, 15


def _iban_forms() -> Bytes:
    """Country * 34 -> which characters may stand at each place behind the check digits; 0 behind the last."""
    forms = np.zeros((_LETTERS * _LETTERS, _MAX_IBAN), np.uint8)
    kinds = {"n": _DIGIT_ONLY, "a": _LETTER_ONLY, "c": _EITHER}
    for country, form in (entry.split(":") for entry in _IBAN.split()):
        at, number = 0, ""
        for character in form:
            if character.isdigit():
                number += character
            else:
                forms[(ord(country[0]) - 65) * _LETTERS + ord(country[1]) - 65, at : at + int(number)] = kinds[
                    character
                ]
                at, number = at + int(number), ""
    return forms


def _calling_codes() -> npt.NDArray[np.int64]:
    """Calling code -> least and most digits of a national number; 0 for no code."""
    bounds = np.zeros((1000, 2), np.int64)
    for entry in _CALLING_CODES.split(";"):
        lengths, codes = entry.split(":")
        bounds[[int(code) for code in codes.split()]] = [int(length) for length in lengths.split("-")]
    return bounds


IBAN_FORMS = _iban_forms()
CALLING_CODES = _calling_codes()


@kernel
def _gap(data: Bytes, at: int, stop: int) -> int:
    """Bytes of the separator at `at` within a printed number, or 0: space, hyphen, dash, no-break space."""
    if at >= stop:
        return 0
    if data[at] == SPACE or data[at] == MINUS:
        return 1
    if data[at] == _NBSP and at + 1 < stop and data[at + 1] == 0xA0:
        return 2
    if data[at] == 0xE2 and at + 2 < stop and data[at + 1] == 0x80:  # U+202F, U+2009, U+2010 to U+2013
        third = data[at + 2]
        return 3 if third == 0xAF or third == 0x89 or 0x90 <= third <= 0x93 else 0
    return 0


@kernel
def iban(data: Bytes, begin: int, at: int, stop: int, forms: Bytes) -> tuple[int, int]:
    """(start, end) of the IBAN whose check digits are at `at`, or (-1, -1). ISO 13616: form by country, mod 97 is 1."""
    start = at - 2
    if start < begin or not (is_a(data[start], UPPER) and is_a(data[start + 1], UPPER)):
        return -1, -1
    if (start > begin and is_a(data[start - 1], ALNUM)) or not is_at(data, at + 1, stop, DIGIT):
        return -1, -1
    country = (int(data[start]) - 65) * _LETTERS + int(data[start + 1]) - 65
    remainder, place, end = 0, 0, at + 2
    while place < _MAX_IBAN and forms[country, place] != 0:
        if place % 4 == 0:
            end += _gap(data, end, stop)
        if not is_at(data, end, stop, DIGIT | UPPER):
            return -1, -1
        is_digit = is_a(data[end], DIGIT)
        if forms[country, place] == (_LETTER_ONLY if is_digit else _DIGIT_ONLY):
            return -1, -1
        value = int(data[end]) - (48 if is_digit else 55)
        remainder = (remainder * (10 if is_digit else 100) + value) % 97
        end, place = end + 1, place + 1
    if place == 0 or is_at(data, end, stop, ALNUM):
        return -1, -1
    for letter in range(start, at):
        remainder = (remainder * 100 + int(data[letter]) - 55) % 97
    remainder = (remainder * 100 + (int(data[at]) - 48) * 10 + int(data[at + 1]) - 48) % 97
    return (start, end) if remainder == 1 else (-1, -1)


@kernel
def card(data: Bytes, begin: int, at: int, stop: int) -> int:
    """The end of the payment card number at `at`, or -1. ISO/IEC 7812: issuer and length known, Luhn's sum right.

    Printed in one run, or in groups of 4-4-4-4, 4-6-5, 4-6-4 or 4-4-4-4-3 with one kind of separator.
    """
    if at > begin and (is_a(data[at - 1], ALNUM) or _is_glue(data[at - 1])):
        return -1
    digits, prefix, groups, end, mark = 0, 0, 0, at, 0
    even, odd = 0, 0  # Luhn's sum with the digits at even places doubled, and at odd ones
    while True:
        first = end
        while is_at(data, end, stop, DIGIT) and digits <= 19:
            digit = int(data[end]) - 48
            doubled = 2 * digit - 9 * (digit > 4)
            even += digit if digits % 2 else doubled
            odd += doubled if digits % 2 else digit
            prefix = prefix * 10 + digit if digits < 6 else prefix
            digits, end = digits + 1, end + 1
        groups = groups * 10 + min(end - first, 9)
        size = _gap(data, end, stop)
        if size == 0 or (mark != 0 and data[end] != mark) or not is_at(data, end + size, stop, DIGIT) or digits >= 19:
            break
        if groups > 4444 or (groups == 9 and digits > 4):
            break
        if groups == 4444 and not _is_last_three(data, end + size, stop):
            break
        mark, end = data[end], end + size
    grouped = groups == 4444 or groups == 465 or groups == 464 or groups == 44443
    if digits < 13 or digits > 19 or not (groups == 9 or grouped) or not _is_issued(prefix, digits):
        return -1
    if (odd if digits % 2 else even) % 10 != 0 or is_at(data, end, stop, ALNUM):
        return -1
    if end + 1 < stop and _is_glue(data[end]) and is_a(data[end + 1], DIGIT):
        return -1
    if grouped and (_is_four(data, begin, end + 1, stop) or _is_four(data, begin, at - 5, stop)):
        return -1  # a row of numbers
    return -1 if scheme_before(data, begin, at) >= 0 else end


@kernel
def _is_glue(byte: int) -> bool:
    """Signs that make digits part of a larger number or name: . - / _ + # $ % & @"""
    return byte in (DOT, MINUS, SLASH, 0x5F, 0x2B, 0x23, 0x24, 0x25, 0x26, 0x40)


@kernel
def _is_last_three(data: Bytes, at: int, stop: int) -> bool:
    n = 0
    while is_at(data, at + n, stop, DIGIT) and n < 4:
        n += 1
    return n == 3


@kernel
def _is_four(data: Bytes, begin: int, at: int, stop: int) -> bool:
    """Whether a group of just four digits begins at `at`."""
    if at < begin or (at > begin and is_a(data[at - 1], DIGIT)) or is_at(data, at + 4, stop, DIGIT):
        return False
    n = 0
    while n < 4 and is_at(data, at + n, stop, DIGIT):
        n += 1
    return n == 4


@kernel
def _is_issued(prefix: int, digits: int) -> bool:
    """Whether the first six digits are an issuer's, and it gives numbers of this length."""
    two, three, four = prefix // 10_000, prefix // 1000, prefix // 100
    if prefix // 100_000 == 4:  # Visa
        return digits in (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:  # Mastercard
        return digits == 16
    if two in (34, 37):  # American Express
        return digits == 15
    if four == 6011 or 644 <= three <= 659:  # Discover
        return 16 <= digits <= 19
    if 300 <= three <= 305 or four == 3095 or two in (36, 38, 39):  # Diners Club
        return 14 <= digits <= 19
    if 3528 <= four <= 3589 or two == 62:  # JCB, UnionPay
        return 16 <= digits <= 19
    if four in (5018, 5020, 5038, 5893, 6304, 6759, 6761, 6762, 6763):  # Maestro
        return 16 <= digits <= 19
    return 2200 <= four <= 2204 and 16 <= digits <= 19  # Mir


@kernel
def phone(data: Bytes, begin: int, at: int, stop: int, codes: Ints) -> int:
    """The end of the telephone number at `at` (a plus, a parenthesis or a digit), or -1.

    With a country code (ITU-T E.164); in the form of North America, 3-3-4 digits; or any national form behind a word
    such as Tel, Fax or 电话. Numbers kept for fiction (area code 555, and 555-0100 to 555-0199) are none.
    """
    if at > begin and (is_a(data[at - 1], ALNUM) or (_is_glue(data[at - 1]) and data[at - 1] != SLASH)):
        return -1
    if data[at] == _PLUS:
        return _international(data, at + 1, stop, codes)
    end = _north_american(data, begin, at, stop)
    if end < 0 and _follows_keyword(data, begin, at):
        end = _groups(data, at, stop, _LEAST_KEYWORD_DIGITS, _MOST_KEYWORD_DIGITS)
    return end


@kernel
def _international(data: Bytes, at: int, stop: int, codes: Ints) -> int:
    at += at < stop and (data[at] == SPACE or data[at] == _OPEN)
    code, start = 0, at
    while is_at(data, at, stop, DIGIT) and at - start < 3 and codes[code, 1] == 0:
        code = code * 10 + int(data[at]) - 48
        at += 1
    if code == 0 or codes[code, 1] == 0:
        return -1
    least, most = max(codes[code, 0], 9 - (at - start)), codes[code, 1] + _trunk_zero(data, at, stop)
    end = _groups(data, at, stop, least, most)
    if end < 0 or (code == 1 and _is_fiction(data, at, end)):
        return -1
    unspaced = end - start < _LEAST_UNSPACED_DIGITS
    for k in range(start, end):
        unspaced = unspaced and is_a(data[k], DIGIT)
    return -1 if unspaced else end


@kernel
def _trunk_zero(data: Bytes, at: int, stop: int) -> int:
    """1 where "(0)" follows, which is not dialled from abroad."""
    at += _gap(data, at, stop)
    return int(at + 2 < stop and data[at] == _OPEN and data[at + 1] == 48 and data[at + 2] == _CLOSE)


@kernel
def _groups(data: Bytes, at: int, stop: int, least: int, most: int) -> int:
    """The end of the longest run of groups of digits from `at` with least to most digits in all, or -1."""
    digits, end, marks, depth = 0, -1, 0, 0
    while at < stop:
        if is_a(data[at], DIGIT):
            digits, marks, at = digits + 1, 0, at + 1
            if digits > most:
                break
            if digits >= least and depth == 0 and not is_at(data, at, stop, DIGIT):
                end = at
            continue
        size = _gap(data, at, stop)
        if size == 0 and (data[at] in (DOT, SLASH, _OPEN, _CLOSE)):
            size = 1
        if size == 0 or marks == 3:
            break
        depth += int(data[at] == _OPEN) - int(data[at] == _CLOSE)
        at, marks = at + size, marks + 1
    if end < 0 or (is_at(data, end, stop, ALNUM) and data[end] != ord("x")):
        return -1
    return end


@kernel
def _is_fiction(data: Bytes, at: int, end: int) -> bool:
    """Whether ten North American digits are kept for fiction, or are no area and exchange code."""
    number = 0
    for k in range(at, end):
        if is_a(data[k], DIGIT):
            number = number * 10 + int(data[k]) - 48
    number %= 10_000_000_000
    area, exchange, line = number // 10_000_000, number // 10_000 % 1000, number % 10_000
    if area < 200 or exchange < 200 or area % 100 == 11 or exchange % 100 == 11 or area == 555:
        return True
    return exchange == 555 and 100 <= line < 200


@kernel
def _north_american(data: Bytes, begin: int, at: int, stop: int) -> int:
    """The end of (415) 555-2671, 415-555-2671, 415.555.2671, 415 555 2671, with or without a 1 before it; or -1."""
    first, in_parentheses, spaces, mark = at, False, 0, 0
    if data[at] == 49 and _mark(data, at + 1, stop) > 0:
        at += 1 + _mark(data, at + 1, stop)
    if at < stop and data[at] == _OPEN:
        in_parentheses, at = True, at + 1
    digits_at = at
    for length in (3, 3, 4):
        for _ in range(length):
            if not is_at(data, at, stop, DIGIT):
                return -1
            at += 1
        if length == 4:
            break
        if in_parentheses and at == digits_at + 3:
            if at >= stop or data[at] != _CLOSE:
                return -1
            at += 1
            at += _mark(data, at, stop)
        else:
            size = _mark(data, at, stop)
            if size == 0 or (mark != 0 and mark != SPACE and data[at] != mark):  # 212 555-1234, but not 489-500 1980
                return -1
            spaces, mark = spaces + (data[at] == SPACE), data[at]
            at += size
    if is_at(data, at, stop, ALNUM) and data[at] != ord("x"):
        return -1
    if at + 1 < stop and _mark(data, at, stop) == 1 and is_a(data[at + 1], DIGIT) and (data[at] != SPACE or spaces):
        return -1
    if spaces == 2 and first - 2 >= begin and data[first - 1] == SPACE and is_a(data[first - 2], DIGIT):
        return -1
    return -1 if _is_fiction(data, digits_at, at) or scheme_before(data, begin, first) >= 0 else at


@kernel
def _mark(data: Bytes, at: int, stop: int) -> int:
    """Bytes of a separator within a North American number, or 0."""
    return 1 if at < stop and data[at] == DOT else _gap(data, at, stop)


@kernel
def _follows_keyword(data: Bytes, begin: int, at: int) -> bool:
    """Whether a word for telephone stands before `at`, with up to four signs between."""
    lowest = max(begin, at - 6)
    while at > lowest:
        if data[at - 1] in (SPACE, 0x3A, DOT, 0x28, 0x29, 0x3D, MINUS):  # : ( ) =
            at -= 1
        elif at - 3 >= begin and data[at - 3] == 0xEF and data[at - 2] == 0xBC and data[at - 1] == 0x9A:  # full-width :
            at -= 3
        elif at - 2 >= begin and data[at - 2] == _NBSP and data[at - 1] == 0xA0:
            at -= 2
        else:
            break
    if is_known(tail_before(data, begin, at, 6), _PHONE_SUFFIXES):
        return True
    return is_known(tail_before(data, begin, at, 8), _PHONE_WORDS)
