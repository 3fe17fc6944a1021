"""Rich content: the text of a page with its formulas as LaTeX, its code with its layout, its pictures in place.

What      Extracts like main_content, and keeps what plain text loses: a formula becomes $LaTeX$ (a display
          $$LaTeX$$), a code block stands verbatim between fences of ``` with its language, inline code between `,
          and a picture leaves a slot in Markdown, its words and its address, where it stood.
Source    Han et al., InfiMM-WebMath-40B, arXiv 2409.12568, section 3 (formulas and images of web pages kept in order);
          Chang et al., RedStone, arXiv 2412.03398, section 3 (code and math in pages). Extraction is resiliparse's.
Formula   text = put_back(extract(page with marks)); LaTeX = annotation | alttext | script math/tex | alternative
          text of a picture of a formula | converted MathML (see seedbed.text.markup.mathml for the subset)
Shapes    record -> text
Units     as main_content
Fidelity  Adapted: both papers change an extractor by rules that they describe and do not publish. Here the sources
          of LaTeX are those of KaTeX, MathJax 2 and 3, MediaWiki, LaTeXML, Sphinx and pandoc pages. MathML without
          LaTeX is converted in a stated subset. Figures keep their captions with their pictures. Line numbers beside
          code, pictures of one pixel and those whose bytes are in the page leave nothing.
Errors    As main_content: ValueError beginning too_large, too_many_nodes, too_deep or too_many_pairs.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

from annotated_types import Ge

from seedbed.curate.contract import Extractor, Record
from seedbed.text.markup.pages import Limits, page_tree, visible_text
from seedbed.text.markup.rich import take_out

_MAX_PARSED_ANCESTORS = 1_000_000_000


@dataclasses.dataclass(frozen=True)
class RichContent(Extractor):
    """What is kept of a page, and what it may cost.

    Args:
        formulas, code, images: keep these; without any of them the text is that of `main_content`.
        main_content: leave menus and footers out; else all of the page's text is given.
        list_bullets: put a bullet before list items.
        max_...: what a page may cost (about four seconds).
    """

    version: ClassVar[int] = 2
    formulas: bool = True
    code: bool = True
    images: bool = True
    main_content: bool = True
    list_bullets: bool = True
    max_html_bytes: Annotated[int, Ge(1)] = 16 << 20
    max_nodes: Annotated[int, Ge(1)] = 1_000_000
    max_ancestors: Annotated[int, Ge(1)] = 5_000_000
    max_pairs: Annotated[int, Ge(1)] = 100_000_000

    def extract(self, record: Record) -> str:
        """The text of the page, with what is kept in its places."""
        limits = Limits(self.max_html_bytes, self.max_nodes, self.max_ancestors, _MAX_PARSED_ANCESTORS, self.max_pairs)
        tree = page_tree(record.content, record.charset, limits)
        kept = take_out(tree, record.url, formulas=self.formulas, code=self.code, images=self.images)
        text = visible_text(tree, main_content=self.main_content, list_bullets=self.list_bullets, figures=self.images)
        return kept.put_back(text)
