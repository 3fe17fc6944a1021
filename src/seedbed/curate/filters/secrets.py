"""Secrets: does the text hold private keys, access tokens, web tokens or passwords in URLs?

What      Counts credentials of a form that cannot be mistaken. `mask_secrets` puts something else in their place; this
          filter measures, and drops pages where a limit is set.
Source    Private keys: RFC 7468 and 4880. JSON web tokens: RFC 7519. Passwords in URLs: RFC 3986, section 3.2.1. Access
          tokens: the prefixes, alphabets and lengths that issuers document (AWS, GitHub, GitLab, Google, Slack, Stripe,
          OpenAI, Anthropic, Hugging Face, npm, PyPI, DigitalOcean, Shopify, Docker), as scanners such as gitleaks list
          them.
Formula   private_keys     -----BEGIN ... PRIVATE KEY----- with 64 characters of base64 at least
          tokens           a known prefix, then characters of its alphabet in its length
          web_tokens       header.payload.signature in base64url, the first two being JSON objects
          url_passwords    scheme://user:password@host, the password with a digit or a sign
          secrets          all of them; dropped where secrets > max_secrets
Shapes    documents_N -> five columns of N.
Units     passages a document.
Fidelity  Adapted: there is no published rule of dropping, so all limits are None. Left out are made-up examples (few
          different characters, a run of one, the word EXAMPLE), test keys, passwords to this machine or to example
          hosts, and passwords without a form of their own. Recall on planted secrets:
          benchmarks/results/personal_data.csv.
Errors    No text raises. An empty text has none.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

import pyarrow as pa
from annotated_types import Ge

from seedbed.core.nouns import DocumentBatch, Signal
from seedbed.curate.contract import Filter, Rule
from seedbed.text.patterns.secrets import TOKENS, secrets


@dataclasses.dataclass(frozen=True)
class Secrets(Filter):
    """Limits on the secrets of each family, and of all together; None switches one off."""

    libraries: ClassVar[tuple[str, ...]] = ()
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("private_keys", "keys", "int", low=0),
        Signal("tokens", "access tokens", "int", low=0),
        Signal("web_tokens", "JSON web tokens", "int", low=0),
        Signal("url_passwords", "passwords", "int", low=0),
        Signal("secrets", "passages", "int", low=0),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("max_private_keys", "private_keys", "max"),
        Rule("max_tokens", "tokens", "max"),
        Rule("max_web_tokens", "web_tokens", "max"),
        Rule("max_url_passwords", "url_passwords", "max"),
        Rule("max_secrets", "secrets", "max"),
    )

    max_private_keys: Annotated[int | None, Ge(0)] = None
    max_tokens: Annotated[int | None, Ge(0)] = None
    max_web_tokens: Annotated[int | None, Ge(0)] = None
    max_url_passwords: Annotated[int | None, Ge(0)] = None
    max_secrets: Annotated[int | None, Ge(0)] = None

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """The counts of every document."""
        counts = documents.derive(secrets).counts(len(documents))
        return self.table(
            {
                "private_keys": counts["private_key"],
                "tokens": sum(counts[kind] for kind in TOKENS),
                "web_tokens": counts["json_web_token"],
                "url_passwords": counts["url_password"],
                "secrets": sum(counts.values()),
            }
        )
