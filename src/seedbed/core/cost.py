"""What a result cost, so that methods are compared with their price."""

from __future__ import annotations

import dataclasses

from seedbed.core.parameters import Json


@dataclasses.dataclass(frozen=True)
class Cost:
    """FLOP by kind, calls to outside models, and CPU-seconds (seconds are not part of any fingerprint)."""

    flops_forward: float = 0.0
    flops_backward: float = 0.0
    flops_auxiliary: float = 0.0
    calls: int = 0
    seconds: float = 0.0

    @property
    def flops(self) -> float:
        """All FLOP together."""
        return self.flops_forward + self.flops_backward + self.flops_auxiliary

    def __add__(self, other: Cost) -> Cost:
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in dataclasses.fields(self))
        return Cost(*(a + b for a, b in pairs))

    def to_json(self) -> dict[str, Json]:
        """Field name -> number."""
        return dataclasses.asdict(self)
