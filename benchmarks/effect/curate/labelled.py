"""Personal data and secrets of every kind, made up by their rules, and what only looks like them: labels are known.

Nothing here asks the code that is measured: numbers are drawn by the standards' rules, check digits are computed anew.
"""

from __future__ import annotations

import ipaddress
import random
import string
import uuid

ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
NAMES = [
    "anna",
    "J.Smith",
    "li.wei",
    "m_garcia",
    "o'brien",
    "Zoe-Marie",
    "dev+list",
    "k2",
    "info",
    "Firstname.Lastname",
]
HOSTS = [
    "firma.de",
    "gmail.com",
    "mail.uni-wien.ac.at",
    "163.com",
    "company.io",
    "Cs.Stanford.EDU",
    "xn--bcher-kva.ch",
    "a.co",
]
PHONES = """
+49 30 #######|+49 (0)89 ######|+49-171-#######|+33 # ## ## ## ##|+33#########|+44 20 #### ####|+44 (0)161 ### ####
+39 02 ########|+34 6## ### ###|+31 20 ### ####|+41 44 ### ## ##|+43 1 #######|+46 8 ### ## ##|+47 ## ## ## ##
+48 ## ### ## ##|+420 ### ### ###|+7 495 ###-##-##|+380 44 ### ## ##|+90 212 ### ## ##|+972 3-###-####|+91 ##### #####
+86 10 #### ####|+86 138 #### ####|+81 3-####-####|+82 2-####-####|+61 2 #### ####|+55 11 9####-####|+52 55 #### ####
+27 21 ### ####|+254 7## ### ###|+1 (2@#) 3##-####|+1-3@#-4##-####|+1 4@# 5@#-####|(2@#) 3##-####|5@#-6@#-####
6@#.7@#.####|1-8@#-2@#-####|7@# 8@#-####|Tel. ~030/#######|Tel: ~01 ## ## ## ##|Phone: ~020 #### ####|Fax ~(0)40 ######
Telefon: ~089 / ######|电话：~010-########|Тел.: ~8 (495) ###-##-##
"""
IBANS = {
    "DE": "n18",
    "FR": "n23",
    "ES": "n20",
    "IT": "a1n22",
    "GB": "a4n14",
    "NL": "a4n10",
    "CH": "n17",
    "AT": "n16",
    "PL": "n24",
}
IBANS |= {
    "BE": "n12",
    "SE": "n20",
    "NO": "n11",
    "DK": "n14",
    "PT": "n21",
    "TR": "n22",
    "SA": "n20",
    "IE": "a4n14",
    "LU": "n16",
}
CARDS = [
    ("4", 16),
    ("51", 16),
    ("55", 16),
    ("2221", 16),
    ("34", 15),
    ("37", 15),
    ("6011", 16),
    ("65", 16),
    ("36", 14),
    ("3530", 16),
]
FRAMES = [
    "Write to {}.",
    "({})",
    "see {}, or ask",
    "Kontakt: {} oder",
    "<{}>",
    "请联系：{}。",
    "\t{}\n",
    '"{}"',
    "- {};",
    "{}",
]


def digits(rng: random.Random, n: int) -> str:
    return "".join(rng.choices(string.digits, k=n))


def drawn(rng: random.Random, n: int, alphabet: str = ALNUM) -> str:
    return "".join(rng.choices(alphabet, k=n))


def email(rng: random.Random) -> str:
    return f"{rng.choice(NAMES)}{rng.choice(['', digits(rng, 2)])}@{rng.choice(HOSTS)}"


def phone(rng: random.Random) -> str:
    """A number; what stands before a ~ is the word before it."""
    form = rng.choice(PHONES.strip().replace("\n", "|").split("|"))
    return "".join(rng.choice("23456789") if c == "#" else rng.choice("024") if c == "@" else c for c in form)


def ipv4(rng: random.Random) -> str:
    while True:
        address = ipaddress.IPv4Address(rng.getrandbits(32))
        if address.is_global and not address.is_multicast:
            return str(address)


def ipv6(rng: random.Random) -> str:
    while True:
        groups = [
            rng.choice([0x2A00, 0x2001, 0x2600, 0x2804]),
            *(rng.choice([0, rng.getrandbits(16)]) for _ in range(7)),
        ]
        address = ipaddress.IPv6Address(":".join(f"{group:x}" for group in groups))
        if address.is_global and len([group for group in groups if group]) > 2:
            return rng.choice([str(address), address.exploded])


def iban(rng: random.Random) -> str:
    country = rng.choice(list(IBANS))
    form, body, kind, number = IBANS[country] + "x", "", "", ""
    for c in form:
        if c.isdigit():
            number += c
        else:
            body += drawn(rng, int(number or 0), string.digits if kind == "n" else string.ascii_uppercase)
            kind, number = c, ""
    value = int("".join(str(int(c, 36)) for c in body + country + "00"))
    whole = f"{country}{98 - value % 97:02d}{body}"
    return rng.choice([whole, " ".join(whole[i : i + 4] for i in range(0, len(whole), 4))])


def card(rng: random.Random) -> str:
    prefix, length = rng.choice(CARDS)
    body = prefix + digits(rng, length - 1 - len(prefix))
    total = sum(sum(divmod(2 * int(c), 10)) if i % 2 == 0 else int(c) for i, c in enumerate(reversed(body)))
    whole = body + str(-total % 10)
    cuts = {16: (4, 8, 12), 15: (4, 10), 14: (4, 10)}[length]
    mark = rng.choice(["", " ", "-"])
    return mark.join(whole[a:b] for a, b in zip((0, *cuts), (*cuts, length), strict=True))


def private_key(rng: random.Random) -> str:
    kind = rng.choice(
        ["RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"]
    )
    lines = "\n".join(drawn(rng, 64, ALNUM + "+/") for _ in range(rng.randrange(2, 30)))
    return f"-----BEGIN {kind}-----\n{lines}\n{drawn(rng, 20)}==\n-----END {kind}-----"


def token(rng: random.Random) -> str:
    mixed = drawn(rng, 14) + "a1B" + drawn(rng, 13)
    return rng.choice(
        [
            "AKIA" + drawn(rng, 16, string.ascii_uppercase + "234567"),
            "ghp_" + drawn(rng, 36),
            "github_pat_" + drawn(rng, 22) + "_" + drawn(rng, 59),
            "glpat-" + drawn(rng, 20),
            "AIza" + drawn(rng, 34, ALNUM + "_-") + "x",
            f"xoxb-{digits(rng, 12)}-{digits(rng, 12)}-{drawn(rng, 24)}",
            "sk_live_" + drawn(rng, 24),
            "sk-" + mixed + drawn(rng, 18),
            "sk-proj-" + mixed + drawn(rng, 60, ALNUM + "_-") + "x",
            "hf_" + drawn(rng, 34, string.ascii_letters),
            "npm_" + drawn(rng, 36),
        ]
    )


def web_token(rng: random.Random) -> str:
    return f"eyJ{drawn(rng, 33)}.eyJ{drawn(rng, 80)}.{drawn(rng, 43, ALNUM + '_-')}"


KINDS = {"email": email, "phone": phone, "ipv4": ipv4, "ipv6": ipv6, "iban": iban, "card": card}
SECRETS = {"private_key": private_key, "token": token, "web_token": web_token}


def wrong_digit(rng: random.Random, number: str) -> str:
    """One digit behind the fourth character changed."""
    at = rng.choice([i for i, c in enumerate(number) if c.isdigit() and i > 4])
    return number[:at] + rng.choice([d for d in string.digits if d != number[at]]) + number[at + 1 :]


def negative(rng: random.Random) -> str:
    """Something that only looks like personal data or a secret."""
    small, four = [rng.randrange(20) for _ in range(4)], [rng.randrange(1, 255) for _ in range(4)]
    return rng.choice(
        [
            f"version {four[0]}.{four[1]}.{four[2]}.{four[3]}",
            f"v{four[0]}.{four[1]}.{four[2]}.{four[3]}",
            f"Chrome/{four[0]}.0.{rng.randrange(999, 6000)}.{four[1]}",
            ".".join(map(str, small)),
            f"section {four[0]}.{small[1]}.{small[2]}.{small[3]}",
            f"1.3.6.1.4.1.{digits(rng, 4)}.{small[0]}",
            f"{rng.choice(['192.0.2', '198.51.100', '203.0.113', '10.1.2', '192.168.1', '127.0.0'])}.{four[0]}",
            f"2001:db8::{four[0]:x}:{four[1]:x}",
            ":".join(f"{b:02x}" for b in (*four, *small[:2])),
            f"ISBN 978-{small[0] % 10}-{digits(rng, 3)}-{digits(rng, 5)}-{small[1] % 10}",
            f"ISBN {digits(rng, 9)}X",
            drawn(rng, 40, HEX),
            drawn(rng, 64, HEX),
            str(uuid.UUID(int=rng.getrandbits(128))),
            f"{rng.choice(NAMES[:4])}@{rng.choice(['example.com', 'mail.example.org', 'localhost'])}",
            f"@{rng.choice(['anna', 'dev'])}@mastodon.social",
            rng.choice(["logo@2x.png", "node@18.0.1", "git@github.com:org/repo.git", "x@y", "q@k.transpose(1)"]),
            f"20{small[0]:02d}-{small[1] % 12 + 1:02d}-{small[2] + 1:02d} {small[0]:02d}:{four[0] % 60:02d}:00",
            f"{small[2] + 1:02d}.{small[1] % 12 + 1:02d}.20{small[0]:02d}",
            f"{four[0]}.{digits(rng, 9)}",
            f"${four[0]},{digits(rng, 3)},{digits(rng, 3)}.{digits(rng, 2)}",
            f"17{digits(rng, 11)}",
            f"10.{digits(rng, 4)}/{drawn(rng, 4)}.{digits(rng, 7)}",
            f"{digits(rng, 3)}-{digits(rng, 2)}-{digits(rng, 4)}",
            f"(212) 555-01{digits(rng, 2)}",
            f"order {digits(rng, 10)}",
            f"pp. {digits(rng, 3)}-{digits(rng, 3)} (19{digits(rng, 2)})",
            wrong_digit(rng, iban(rng)),
            wrong_digit(rng, card(rng)),
            "ghp_" + "x" * 36,
            "AKIAIOSFODNN7EXAMPLE",
            "sk-a-name-of-many-words-with-hyphens-of-20" + digits(rng, 2),
            "-----BEGIN CERTIFICATE-----\n" + drawn(rng, 64) + "\n-----END CERTIFICATE-----",
        ]
    )
