"""What goes wrong, said so that a person can mend it.

Every error a user can cause is a `SeedbedError`: a ValueError with a place (file, line, column, recipe path), what is
wrong there, and how to mend it. `RecipeError` is wrong usage (exit code 2); all else is a failed run (exit code 1).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_NAMED = 30
"""Of what there is, where nothing is close to what was written."""


class SeedbedError(ValueError):
    """An error with a place and a mend.

    Args:
        where: the file, line, column or recipe path.
        what: what is wrong there, without a full stop.
        mend: what to do about it, a sentence, or empty where nothing can be advised.
    """

    def __init__(self, where: str, what: str, mend: str = "") -> None:
        self.where, self.what, self.mend = where, what, mend
        super().__init__(f"{where}: {what}." + (f" {mend}" if mend else ""))

    def __reduce__(self) -> tuple[type[SeedbedError], tuple[str, str, str]]:
        """Errors cross process borders whole."""
        return (type(self), (self.where, self.what, self.mend))


class RecipeError(SeedbedError):
    """A recipe, a parameter or a command line that cannot be meant."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The closest known name as a sentence, or the list of what there is."""
    names = sorted(set(known))
    close = difflib.get_close_matches(word, names, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return f"Known here: {', '.join(names[:MAX_NAMED])}{more}." if names else ""
