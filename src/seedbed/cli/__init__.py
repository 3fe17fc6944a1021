"""The command line: verbs over the same calls that Python offers. Exit codes: 0 done, 1 failed, 2 wrong usage."""

from __future__ import annotations

import os
import sys

from seedbed.cli import making as making  # isort: skip  # its verbs stand first in --help
from seedbed.cli import training as training  # isort: skip
from seedbed.cli import transforming as transforming  # isort: skip
from seedbed.cli import predicting as predicting  # isort: skip
from seedbed.cli import asking as asking  # isort: skip
from seedbed.cli.options import app
from seedbed.core.errors import RecipeError, SeedbedError


def main() -> None:
    """Entry point. Errors a user can mend are one paragraph on stderr; anything else shows its traceback."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # processes side by side; threads inside them only get in the way
    try:
        app()
    except SeedbedError as error:
        print(f"seedbed: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, RecipeError) else 1)
    except KeyboardInterrupt:
        print("\nseedbed: stopped. The same command goes on where this one was.", file=sys.stderr)
        sys.exit(1)


__all__ = ["app", "main"]

if __name__ == "__main__":
    main()
