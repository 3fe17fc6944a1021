"""What an engine does: run a pure function over tasks, and give the results in the order of the tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from seedbed.engine.progress import Bar

Task = TypeVar("Task")
Result = TypeVar("Result")

Tick = Callable[[float], None]
"""A task tells how much it has done since the last tick, in the unit that `run` names."""


class Engine:
    """Runs tasks somewhere. The results never depend on where, nor on how many at once."""

    def run(
        self,
        function: Callable[[Task, Tick], Result],
        tasks: Sequence[Task],
        *,
        label: str,
        total: float,
        unit: str,
    ) -> list[Result]:
        """`[function(task, tick) for task in tasks]`. `function` is a module-level function; tasks can be pickled."""
        if not tasks:
            return []
        with Bar(label, total, unit) as bar:
            return self.spread(function, tasks, bar)

    def spread(self, function: Callable[[Task, Tick], Result], tasks: Sequence[Task], bar: Bar) -> list[Result]:
        """What `run` gives for one task at least, ticks added to the bar."""
        raise NotImplementedError
