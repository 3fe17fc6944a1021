import ipaddress
import random

import numpy as np
import pytest

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.personal_data import PersonalData
from seedbed.text.patterns.personal import find

# Examples of the SWIFT IBAN Registry, release 101.
IBANS = """
DE89370400440532013000 GB29NWBK60161331926819 FR1420041010050500013M02606 NL91ABNA0417164300 CH9300762011623852957
ES9121000418450200051332 IT60X0542811101000000123456 NO9386011117947 MT84MALT011000012345MTLCAST001S
SE4550000000058398257466 PL61109010140000071219812874 BR1800360305000010009795493C1
SA0380000000608010167519 KW81CBKU0000000000001234560101
"""
# What libphonenumber 9.0 gives as examples, in international form.
PHONES = [
    "+1 201-555-0123".replace("0123", "8123"),
    "+44 121 234 5678",
    "+44 7400 123456",
    "+49 30 123456",
    "+49 1512 3456789",
    "+33 1 23 45 67 89",
    "+39 02 1234 5678",
    "+34 810 12 34 56",
    "+31 10 123 4567",
    "+41 21 234 56 78",
    "+46 8 12 34 56",
    "+358 13 1234567",
    "+48 12 345 67 89",
    "+7 301 123-45-67",
    "+380 44 123 4567",
    "+90 212 345 67 89",
    "+972 2-123-4567",
    "+91 74104 10123",
    "+86 10 1234 5678",
    "+81 3-1234-5678",
    "+82 2-2123-4567",
    "+61 2 1234 5678",
    "+55 11 2345-6789",
    "+54 11 2345-6789",
    "+52 200 123 4567",
    "+27 10 123 4567",
    "+254 20 2012345",
    "+971 50 123 4567",
    "+352 27 12 34 56",
    "+354 410 1234",
]
# Card numbers that payment processors publish for tests: Visa, Mastercard, Amex, Discover, Diners, JCB, UnionPay.
CARDS = [
    "4242424242424242",
    "4000 0566 5566 5556",
    "5555-5555-5555-4444",
    "2223003122003222",
    "3782 822463 10005",
    "371449635398431",
    "6011 1111 1111 1117",
    "3056 930902 0004",
    "3566002020360505",
    "6205500000000000004",
]


def found(text, kind=None):
    passages = find(*DocumentBatch.of([text]).text_buffers())
    data = text.encode()
    kinds = [passages.kinds[k] for k in passages.kind]
    texts = [data[start:end].decode() for start, end in zip(passages.start, passages.end, strict=True)]
    return [one for one, name in zip(texts, kinds, strict=True) if kind in (None, name)]


@pytest.mark.parametrize("frame", ["{}", "at {} or", "({}),", "tail:\n{}\nhead", "“{}”", "是{}。", "<{}>;"])
def test_every_kind_is_found_whole_whatever_stands_around(frame):
    for kind, texts in {
        "email": [
            "anna.berg@firma.de",
            "J_O'Neill+x@mail.example-shop.co.uk",
            "zoë@cafe.fr",
            "a@163.com",
            "x@y.xn--p1ai",
        ],
        "ipv4": ["185.199.108.153", "91.12.4.250", "8.26.56.26"],
        "ipv6": ["2a00:1450:4001:81b::200e", "2606:4700:4700:0:0:0:0:1111", "2001:67c:2564:a119::77"],
        "iban": [*IBANS.split(), "DE89 3704 0044 0532 0130 00", "GB29 NWBK 6016 1331 9268 19"],
        "phone": [*PHONES, "(415) 867-5309", "415.867.5309", "1-800-356-9377", "+49 (0)30 123456"],
        "card": CARDS,
    }.items():
        for text in texts:
            assert found(frame.format(text), kind) == [text], (kind, frame)


def test_national_numbers_count_behind_a_word_for_telephone():
    for text in (
        "Tel. 030/1234567",
        "tél : 01 23 45 67 89",
        "Fax:(02) 1234 5678",
        "电话：010-62751234",
        "Телефон: 8 495 123-45-67",
        "请联系：Tel: 01 23 45 67 89。",
        "(Telefon: 089 / 123456)",
    ):
        assert len(found(text, "phone")) == 1, text
    assert found("030/1234567 and 01 23 45 67 89, hotel 1234567") == []


def test_what_only_looks_like_personal_data_is_none():
    for text in (
        "user@example.com a@mail.example.org me@localhost foo@bar.invalid decorator@2x.png @name@mastodon.social",
        "git@github.com:a/b.git https://user:word@host.com/ node@18.0.1 q@k.transpose(1) a@b a@b..c @media x@.com",
        "\n\n6.22.120.4. Primitive constructs",
        "192.0.2.7 198.51.100.9 203.0.113.5 10.1.2.3 172.16.9.9 192.168.1.1 127.0.0.1 169.254.9.9",
        "100.64.1.1 239.1.2.30",
        "：version 41.101.25.31 v185.199.108.153 Chrome/109.55.141.20 lib-4.10.25.31.jar",
        "==4.10.25.31 1.3.6.1.4.1.311.60",
        "Section\u00a036.12.44.13 section 36.12.44.13 2.1.3.4 36.4.5.2 OID = 2.5.29.150 300.1.1.300 185.199.108.0",
        "01.185.199.108 185.199.108.15a",
        "2001:db8::1 fe80::1 ::1 fd12:3456::1 12:30:45 std::vector 00:1a:2b:3c:4d:5e 2023:10:05",
        "2001::1 2001:db8:1:2:3:4:5:6",
        "DE89370400440532013001 XX89370400440532013000 GB29NWBK6016133192681",
        "DE8937040044053201300X ADE89370400440532013000",
        "4242424242424241 1242424242424242 0.4242424242424242 id_4242424242424242 42424242424242420 978-0-306-40615-7",
        "4242 4242 4242 4242 4242 4242 https://shop.com/item?id=4242424242424242 1700000000000 4242-4242 4242-4242",
        "2023-10-05 10:30:00 1990-1995 +20231005 -1,234,567.89 +12345678 (212) 555-0123 555-867-5309 123-45-6789",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709 f47ac10b-58cc-4372-a567-0e02b2c3d479 10.1000/182",
        "489-500 1980 3.141592653",
        "911-555-1234 111-222-3333 12 415 867 5309 4158675309 x415-867-5309 415-867-5309-12 +999 123 456 789",
    ):
        assert found(text) == [], text


def test_digits_of_other_scripts_are_no_digits():
    assert found("٨.٢٦.٥٦.٢٦ ４２４２４２４２４２４２４２４２ Tel ٠٣٠ ١٢٣٤٥٦٧") == []


def test_public_addresses_are_those_of_the_standard_library():
    rng = random.Random(7)
    special = [
        f"{net}.{rng.randrange(20, 256)}.{rng.randrange(30, 256)}" for net in ("192.0", "198.51", "203.0", "192.88")
    ]
    special += [
        "192.0.2.33",
        "198.51.100.33",
        "203.0.113.33",
        "100.63.99.40",
        "100.64.99.40",
        "172.15.99.40",
        "172.32.99.40",
    ]
    drawn = [".".join(str(rng.randrange(256)) for _ in range(4)) for _ in range(3000)]
    for text in special + drawn:
        address = ipaddress.ip_address(text)
        numbers = [int(number) for number in text.split(".")]
        public = address.is_global and not address.is_multicast and not text.startswith("192.88.99.")
        read_as_a_version = max(numbers) < 20 or max(numbers[1:]) < 10 or numbers[3] == 0
        assert (found(text) == [text]) == (public and not read_as_a_version), text


def test_public_ipv6_is_global_unicast():
    rng = random.Random(9)
    for _ in range(2000):
        first = rng.choice(["2001", "2002", "3fff", "fe80", f"{rng.randrange(0x1000, 0x10000):x}", "2a02"])
        groups = [first, *(f"{rng.choice([0, 0, rng.randrange(0x10000)]):x}" for _ in range(7))]
        address = ipaddress.ip_address(":".join(groups))
        text = str(address)
        unicast = address in ipaddress.ip_network("2000::/3")
        kept_apart = any(
            address in ipaddress.ip_network(n) for n in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
        )
        shortened = "::" in text and len([g for g in text.split(":") if g]) < 3
        assert (found(text) == [text]) == (unicast and not kept_apart and not shortened), text


def test_checksums_catch_every_single_wrong_digit():
    wrong = [
        number[:place] + digit + number[place + 1 :]
        for number in IBANS.split() + CARDS
        for place in range(5, len(number))
        for digit in "0123456789"
        if number[place].isdigit() and digit != number[place]
    ]
    passages = find(*DocumentBatch.of(wrong).text_buffers())
    assert len(wrong) > 3000
    assert [wrong[row] for row in passages.row] == []


def test_counts_and_limits():
    text = "a@b.de c@d.fr, call (415) 867-5309 or +44 121 234 5678; DE89370400440532013000 4242424242424242 91.12.4.250"
    rows = PersonalData().measure(DocumentBatch.of([text, "", "none", text[:6]]))
    assert rows.to_pylist()[0] == {"emails": 2, "phones": 2, "ipv4": 1, "ipv6": 0, "ibans": 1, "cards": 1, "items": 7}
    assert rows["items"].to_pylist() == [7, 0, 0, 1]
    assert list(PersonalData().failures(rows)) == ["max_items"]
    assert PersonalData().failures(rows)["max_items"].tolist() == [True, False, False, False]
    strict = PersonalData(max_items=None, max_emails=0).failures(rows)
    assert list(strict) == ["max_emails"]
    assert strict["max_emails"].tolist() == [True, False, False, True]


def test_passages_do_not_overlap_and_lie_in_their_text():
    pieces = [
        "a@b.de",
        "+1 415-867-5309",
        "4242424242424242",
        "91.12.4.250",
        " ",
        ".",
        "@",
        "1",
        "-",
        "+",
        "(",
        "é",
        "DE89",
    ]
    rng = random.Random(5)
    texts = ["".join(rng.choices(pieces, k=rng.randrange(40))) for _ in range(300)]
    passages = find(*DocumentBatch.of(texts).text_buffers())
    assert len(passages) > 500
    same = passages.row[1:] == passages.row[:-1]
    assert (passages.start[1:][same] >= passages.end[:-1][same]).all()
    assert (np.diff(passages.row) >= 0).all()
    for row, start, end in zip(passages.row, passages.start, passages.end, strict=True):
        assert texts[row].encode()[start:end].decode()
