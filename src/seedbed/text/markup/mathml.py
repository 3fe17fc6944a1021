"""Presentation MathML into LaTeX, for formulas that carry no LaTeX of their own.

The subset: mrow, mi, mn, mo, mtext, ms, mspace, msup, msub, msubsup, mfrac, msqrt, mroot, munder, mover, munderover,
mfenced, mtable, mphantom, and containers that only style. Anything else gives the text inside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seedbed.text.markup.mathml_symbols import ACCENTS, FUNCTIONS, LIMITS, SYMBOLS, VARIANTS

_MAX_DEPTH = 100
_SKIPPED = frozenset({"annotation", "annotation-xml", "mprescripts", "none", "maligngroup", "malignmark"})


def latex_of(math: Any) -> str:
    """LaTeX of a <math> element: its annotation, its alternative text, or else its presentation converted."""
    for annotation in math.query_selector_all("annotation").values():
        if "tex" in (annotation.getattr("encoding") or "").lower() and annotation.text.strip():
            return str(annotation.text).strip()
    if alternative := (math.getattr("alttext") or "").strip():
        return alternative
    return " ".join(_children(math, 0).split())


def _children(node: Any, depth: int) -> str:
    return _joined([_element(child, depth + 1) for child in _elements(node)])


def _elements(node: Any) -> list[Any]:
    found: list[Any] = []
    child = node.first_element_child
    while child is not None:
        if child.tag not in _SKIPPED:
            found.append(child)
        child = child.next_element_sibling
    return found


def _joined(parts: list[str]) -> str:
    """Parts one after the other; a command that ends in a letter is kept apart from a letter."""
    text = ""
    for part in filter(None, parts):
        name = text.rpartition("\\")[2]
        if "\\" in text and name.isalpha() and name.isascii() and part[0].isalpha():
            text += " "
        text += part
    return text


def _element(node: Any, depth: int) -> str:
    if depth > _MAX_DEPTH:
        return _symbols(str(node.text))
    if node.tag in _TOKENS:
        return _TOKENS[node.tag](node)
    if node.tag == "mtable":
        rows = (" & ".join(_children(cell, depth + 2) for cell in _elements(row)) for row in _elements(node))
        return "\\begin{matrix}" + " \\\\ ".join(rows) + "\\end{matrix}"
    if node.tag == "mfenced":
        inside = (node.getattr("separators") or ",")[:1].join(_element(c, depth + 1) for c in _elements(node))
        signs = [(node.getattr(name), usual) for name, usual in (("open", "("), ("close", ")"))]
        opening, closing = (usual if sign is None else sign for sign, usual in signs)
        return f"{_fence('left', opening)}{inside}{_fence('right', closing)}"
    parts = [_element(child, depth + 1) for child in _elements(node)]
    template = _TEMPLATES.get((node.tag, len(parts)))
    if template is not None:
        return template.format(_base(parts[0]) if node.tag in _SCRIPTS else parts[0], *parts[1:])
    limits = _LIMITED.get((node.tag, len(parts)))
    if limits is not None:
        return limits(*parts)
    if not parts:
        return _symbols(str(node.text))
    if node.tag in ("msqrt", "mphantom"):
        return f"\\{node.tag[1:]}{{{_joined(parts)}}}"
    return _joined(parts)


def _fence(side: str, sign: str) -> str:
    return f"\\{side}{_symbols(sign).strip() or '.'}"


def _identifier(node: Any) -> str:
    text = str(node.text).strip()
    if text in FUNCTIONS:
        return f"\\{text}"
    variant = VARIANTS.get(node.getattr("mathvariant") or "", "")
    if variant or (len(text) > 1 and text.isascii() and text.isalpha()):
        return f"\\{variant or 'mathrm'}{{{_symbols(text)}}}"
    return _symbols(text)


def _symbols(text: str) -> str:
    return _joined([SYMBOLS.get(letter, letter) for letter in text.strip()])


def _words(node: Any) -> str:
    text = " ".join(str(node.text).split())
    return f"\\text{{{text}}}" if text else ""


def _sign(node: Any) -> str:
    return _symbols(str(node.text))


def _space(node: Any) -> str:
    return "\\ " if (node.getattr("width") or "0").strip(" 0.empxt") else ""


_TOKENS: dict[str, Callable[[Any], str]] = {
    "mi": _identifier,
    "mn": _sign,
    "mo": _sign,
    "mtext": _words,
    "ms": _words,
    "mspace": _space,
}


def _base(text: str) -> str:
    return text if len(text) <= 1 or (text.startswith("\\") and text[1:].isalpha()) else f"{{{text}}}"


def _under(base: str, under: str) -> str:
    if base in LIMITS:
        return f"{base}_{{{under}}}"
    accent = {"_": "underline", "\\_": "underline"}.get(under)
    return f"\\{accent}{{{base}}}" if accent else f"\\underset{{{under}}}{{{base}}}"


def _over(base: str, over: str) -> str:
    if base in LIMITS:
        return f"{base}^{{{over}}}"
    accent = ACCENTS.get(over)
    return f"\\{accent}{{{base}}}" if accent else f"\\overset{{{over}}}{{{base}}}"


def _under_over(base: str, under: str, over: str) -> str:
    return f"{base}_{{{under}}}^{{{over}}}" if base in LIMITS else _over(_under(base, under), over)


_SCRIPTS = frozenset({"msup", "msub", "msubsup"})
_TEMPLATES: dict[tuple[str, int], str] = {
    ("msup", 2): "{0}^{{{1}}}",
    ("msub", 2): "{0}_{{{1}}}",
    ("msubsup", 3): "{0}_{{{1}}}^{{{2}}}",
    ("mfrac", 2): "\\frac{{{0}}}{{{1}}}",
    ("mroot", 2): "\\sqrt[{1}]{{{0}}}",
}
"""By element and number of parts."""
_LIMITED: dict[tuple[str, int], Callable[..., str]] = {
    ("munder", 2): _under,
    ("mover", 2): _over,
    ("munderover", 3): _under_over,
}
