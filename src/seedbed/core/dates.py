"""Moments as ISO 8601 in UTC, one spelling for all that readers find."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def utc(moment: str | datetime) -> str:
    """`2024-05-01T12:30:00Z`; a day stays a day; a moment without a zone counts as UTC; empty where it is no date."""
    if isinstance(moment, str):
        if not moment:
            return ""
        try:
            found = datetime.fromisoformat(moment.strip())
        except ValueError:
            return ""
        if _DAY.fullmatch(moment.strip()):
            return moment.strip()
        moment = found
    try:
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (OverflowError, ValueError):
        return ""
    return f"{aware:%Y-%m-%dT%H:%M:%S}Z" if aware.year >= 1000 else ""
