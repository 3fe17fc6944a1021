"""All text: everything a page shows, menus and footers too.

What      Decodes a page, parses it as HTML5 and gives all of its visible text, paragraphs apart by newlines.
Source    none; visible text as resiliparse's extract_plain_text renders it, on an HTML5 parser.
Formula   text = extract(parse(decode(bytes, byte order mark > charset > meta > UTF-8 > detection)))
          refused if nodes > max_nodes or ancestors > max_ancestors or pairs > max_pairs (see seedbed.text.markup.cost)
Shapes    record -> text
Units     max_html_bytes: bytes; max_nodes: elements; max_ancestors: elements above each element, summed;
          max_pairs: attributes of an element squared, summed, with the options of the page squared
Fidelity  Adapted: alt texts, links, form fields and figures with their captions are left out. A page that says it is
          XHTML has its self-closed elements closed before it is parsed: an HTML parser takes all that follows
          <script/> or <title/> for their content, and the page comes out empty.
Errors    Raises ValueError beginning too_large, too_many_nodes, too_deep or too_many_pairs for a page that would cost
          seconds or gigabytes to parse. Broken markup gives the text that is found; bytes that the charset cannot
          mean become U+FFFD; an empty page gives "".
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

from annotated_types import Ge

from seedbed.curate.contract import Extractor, Record
from seedbed.text.markup.pages import Limits, page_text


@dataclasses.dataclass(frozen=True)
class AllText(Extractor):
    """Args: list_bullets: put a bullet before list items; max_...: what a page may cost (about four seconds)."""

    version: ClassVar[int] = 2
    list_bullets: bool = True
    max_html_bytes: Annotated[int, Ge(1)] = 16 << 20
    max_nodes: Annotated[int, Ge(1)] = 1_000_000
    max_ancestors: Annotated[int, Ge(1)] = 1_000_000_000
    max_pairs: Annotated[int, Ge(1)] = 100_000_000

    def extract(self, record: Record) -> str:
        """All visible text."""
        limits = Limits(self.max_html_bytes, self.max_nodes, self.max_ancestors, self.max_ancestors, self.max_pairs)
        return page_text(record.content, record.charset, limits, main_content=False, list_bullets=self.list_bullets)
