"""Personal data: how many e-mail and IP addresses, telephone, account and card numbers does the text give away?

What      Counts passages that name or reach a person by their form alone. `mask_personal_data` puts something else in
          their place; this filter measures, and drops the pages that list many.
Source    E-mail, telephone and IP, and the limit of five: Soldaini et al. 2024, Dolma, arXiv 2402.00159. Public
          addresses only: datatrove's PIIFormatter, Penedo et al. 2024, arXiv 2406.17557. Forms: RFC 5322 and 2606
          (e-mail), RFC 6890 and 4291 (IP), ITU-T E.164 (telephone), ISO 13616 (IBAN), ISO/IEC 7812 (cards).
Formula   emails   local@host.tld with a top-level domain that exists
          phones   +country code and as many digits as the country has; North America's 3-3-4; any behind Tel, Fax, ...
          ipv4     four numbers to 255; ipv6: eight groups, or three and more with ::; public ones
          ibans    form and length of the country, number mod 97 = 1
          cards    issuer and length known, Luhn's sum divisible by 10
          items    all of them; dropped where items > max_items
Shapes    documents_N -> seven columns of N.
Units     passages a document.
Fidelity  Adapted: precision before recall. Dolma's patterns take any text around an @, ten digits in 3-3-4 groups
          without borders, and any four numbers; here numbers must check out, and what is reserved for examples and
          fiction (example.com, 192.0.2.0/24, 555-0100) is none, nor are version and section numbers, handles such as
          @name@host, or git@host. Dolma counts three kinds, max_items counts six. Names, street addresses, and national
          numbers without a country code or a word before them are not found. Digits are 0 to 9 in every language.
          Recall and precision on planted passages: benchmarks/results/personal_data.csv.
Errors    No text raises. An empty text has none.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

import pyarrow as pa
from annotated_types import Ge

from seedbed.core.nouns import DocumentBatch, Signal
from seedbed.curate.contract import Filter, Rule
from seedbed.text.patterns.personal import personal_data


@dataclasses.dataclass(frozen=True)
class PersonalData(Filter):
    """Limits on the passages of each kind, and of all kinds together; None switches one off."""

    libraries: ClassVar[tuple[str, ...]] = ()
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("emails", "e-mail addresses", "int", low=0),
        Signal("phones", "telephone numbers", "int", low=0),
        Signal("ipv4", "public IPv4 addresses", "int", low=0),
        Signal("ipv6", "public IPv6 addresses", "int", low=0),
        Signal("ibans", "account numbers", "int", low=0),
        Signal("cards", "card numbers", "int", low=0),
        Signal("items", "passages", "int", low=0),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("max_emails", "emails", "max"),
        Rule("max_phones", "phones", "max"),
        Rule("max_ipv4", "ipv4", "max"),
        Rule("max_ipv6", "ipv6", "max"),
        Rule("max_ibans", "ibans", "max"),
        Rule("max_cards", "cards", "max"),
        Rule("max_items", "items", "max"),
    )

    max_emails: Annotated[int | None, Ge(0)] = None
    max_phones: Annotated[int | None, Ge(0)] = None
    max_ipv4: Annotated[int | None, Ge(0)] = None
    max_ipv6: Annotated[int | None, Ge(0)] = None
    max_ibans: Annotated[int | None, Ge(0)] = None
    max_cards: Annotated[int | None, Ge(0)] = None
    max_items: Annotated[int | None, Ge(0)] = 5

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """The counts of every document."""
        counts = documents.derive(personal_data).counts(len(documents))
        return self.table(
            {
                "emails": counts["email"],
                "phones": counts["phone"],
                "ipv4": counts["ipv4"],
                "ipv6": counts["ipv6"],
                "ibans": counts["iban"],
                "cards": counts["card"],
                "items": sum(counts.values()),
            }
        )
