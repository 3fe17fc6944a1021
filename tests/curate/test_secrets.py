import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.errors import RecipeError
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.edits.mask_secrets import MaskSecrets
from seedbed.curate.filters.secrets import Secrets
from seedbed.text.patterns.secrets import SHAPES, find
from tests.conftest import examples

ALNUM = string.ascii_letters + string.digits
RNG = random.Random(11)


def drawn(n, alphabet=ALNUM):
    return "".join(RNG.choices(alphabet, k=n))


def block(kind, tail=""):
    lines = "\n".join(drawn(64, ALNUM + "+/") for _ in range(4))
    return f"-----BEGIN {kind}-----\n{tail}{lines}\n{drawn(22)}==\n-----END {kind}-----"


SECRETS = {
    "private_key": [
        block("RSA PRIVATE KEY"),
        block("PRIVATE KEY"),
        block("OPENSSH PRIVATE KEY"),
        block("EC PRIVATE KEY").replace("\n", "\\n"),
        block("PGP PRIVATE KEY BLOCK", "Version: GnuPG v2\n\n"),
        f"-----BEGIN PRIVATE KEY-----\n{drawn(64)}\n-----END PRIVATE KEY-----",
    ],
    "json_web_token": [f"eyJ{drawn(33)}.eyJ{drawn(90)}.{drawn(43)}"],
    "aws_access_key": [
        "AKIA" + drawn(16, string.ascii_uppercase + "234567"),
        "ASIA" + drawn(16, string.ascii_uppercase + "234567"),
    ],
    "github_token": ["ghp_" + drawn(36), "gho_" + drawn(36), "github_pat_" + drawn(22) + "_" + drawn(59)],
    "gitlab_token": ["glpat-" + drawn(19) + "x"],
    "google_api_key": ["AIza" + drawn(34) + "x"],
    "slack_token": [f"xoxb-{drawn(12, string.digits)}-{drawn(12, string.digits)}-{drawn(24)}"],
    "stripe_key": ["sk_live_" + drawn(24), "rk_live_" + drawn(99)],
    "model_api_key": ["sk-" + drawn(46) + "A1", "sk-proj-" + drawn(60) + "A1", "sk-" + drawn(32, "0123456789abcdef")],
    "hugging_face_token": ["hf_" + drawn(34, string.ascii_letters)],
    "npm_token": ["npm_" + drawn(36)],
    "pypi_token": ["pypi-AgEIcHlwaS5vcmc" + drawn(120)],
    "digitalocean_token": ["dop_v1_" + drawn(64, "0123456789abcdef")],
    "shopify_token": ["shpat_" + drawn(32, "0123456789abcdef")],
    "docker_token": ["dckr_pat_" + drawn(27)],
}


def found(text, kind=None):
    passages = find(*DocumentBatch.of([text]).text_buffers())
    triples = zip(passages.kind, passages.start, passages.end, strict=True)
    return [text.encode()[s:e].decode() for k, s, e in triples if kind in (None, passages.kinds[k])]


@pytest.mark.parametrize(
    "frame", ["{}", 'key = "{}"', "TOKEN={}\nnext", "({}),", "密钥：{}。", '"\\n{}"', "a: {} and then some words"]
)
def test_every_kind_is_found_whole_whatever_stands_around(frame):
    assert {shape.kind for shape in SHAPES} <= set(SECRETS)
    for kind, texts in SECRETS.items():
        for text in texts:
            assert found(frame.format(text), kind) == [text], (kind, frame)


def test_of_a_url_the_password_alone_is_secret():
    assert found("see postgres://bob:s3cr%t-x@db.acme.com:5432/x") == ["s3cr%t-x"]
    assert found("amqps://a.b:P4ss:word@mq.acme.com") == ["P4ss:word"]


def test_a_key_cut_off_is_taken_as_far_as_it_goes():
    whole = block("RSA PRIVATE KEY")
    cut = whole[: whole.index("==")]
    assert found(cut) == [cut]
    assert found(cut + "\n\nand prose goes on for a while") == [cut]


def test_what_only_looks_like_a_secret_is_none():
    for text in (
        "-----BEGIN PRIVATE KEY----- starts the block, then SSLProxyMachineCertificateChainFile and more follows",
        block("CERTIFICATE"),
        block("PUBLIC KEY"),
        "AKIAIOSFODNN7EXAMPLE AKIAXXXXXXXXXXXXXXXX AKIA" + "A" * 16 + " XAKIA" + drawn(16, string.ascii_uppercase),
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx ghp_" + drawn(20) + " ghx_" + drawn(36) + " sk_test_" + drawn(24),
        "sk-a-long-name-with-hyphens-of-the-year-2023-and-more-words sk-short risk-" + drawn(40),
        "eyJhbGciOiJIUzI1NiJ9 eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0 "
        + drawn(36)
        + "."
        + drawn(36)
        + "."
        + drawn(36),
        "smb://usuario:contraseña@servidor ftp://user:password@host.com http://u:$PASS1@h.com",
        "http://u:<p4ss>@h.com",
        "http://a1b2:a1b2@h.com http://u:p4ssword@localhost:80 http://u:p4ss@db.example.com",
        "http://host:8080/@x //u:p4ss@h",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709 f47ac10b-58cc-4372-a567-0e02b2c3d479",
    ):
        assert found(text) == [], text


def test_counts_and_limits():
    text = " ".join(texts[0] for texts in SECRETS.values()) + " https://a:b4c-d5@h.de/"
    rows = Secrets(max_tokens=3).measure(DocumentBatch.of([text, ""]))
    n_tokens = len({shape.kind for shape in SHAPES})
    first = {"private_keys": 1, "tokens": n_tokens, "web_tokens": 1, "url_passwords": 1, "secrets": n_tokens + 3}
    assert rows.to_pylist() == [first, dict.fromkeys(first, 0)]
    assert Secrets().failures(rows) == {}
    assert Secrets(max_tokens=3).failures(rows)["max_tokens"].tolist() == [True, False]


def test_masking():
    token, key = SECRETS["github_token"][0], SECRETS["private_key"][0]
    text = f"é {token}, https://u:s3cret@h.de {key}."
    edited = MaskSecrets().edit(DocumentBatch.of(["", text]))
    assert edited.texts.to_pylist() == ["", "é <TOKEN>, https://u:<PASSWORD>@h.de <PRIVATE_KEY>."]
    spans = edited.told().to_pylist()
    assert [span["kind"] for span in spans] == ["github_token", "url_password", "private_key"]
    assert [text.encode()[span["start"] : span["end"]].decode() for span in spans] == [token, "s3cret", key]
    kept = MaskSecrets(token=None).edit(DocumentBatch.of([text])).texts.to_pylist()[0]
    assert token in kept
    assert key not in kept
    with pytest.raises(RecipeError, match="secret itself"):
        MaskSecrets(token=token)


PIECES = [texts[0] for texts in SECRETS.values()] + [
    "https://u:",
    "s3cret",
    "@h.de",
    " ",
    "-",
    "-----",
    "_",
    ".",
    "eyJ",
    "sk-",
    "A1",
]


@examples(100)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.sampled_from(["<TOKEN>", "", "x"]))
def test_masking_twice_is_masking_once(text, put):
    method = MaskSecrets(token=put, private_key=put)
    once = method.edit(DocumentBatch.of([text])).texts.to_pylist()
    again = method.edit(DocumentBatch.of(once))
    assert again.texts.to_pylist() == once
    assert again.told().num_rows == 0
