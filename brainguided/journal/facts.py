"""What an object holds, in one line and as a small table for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

_LONGEST = 300  # characters of a fact


class Shown:
    """Shows itself by its facts; nothing in them is computed.

    The dataclasses among its kinds are made with ``repr=False``.
    """

    def _list_facts(self) -> Mapping[str, Any]:
        """Return what is said, by topic; texts may come from files."""
        raise NotImplementedError

    def __repr__(self) -> str:
        facts = (f"{_tame(topic)}: {_tame(fact)}" for topic, fact in self._list_facts().items())
        return f"{type(self).__name__}({'; '.join(facts)})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th scope="row" style="text-align:left">{escape(_tame(topic))}</th>'
            f'<td style="text-align:left">{escape(_tame(fact))}</td></tr>'
            for topic, fact in self._list_facts().items()
        )
        return (
            f'<table><caption style="text-align:left"><b>{type(self).__name__}</b></caption>'
            f"<tbody>{rows}</tbody></table>"
        )


def _tame(fact: Any) -> str:
    """Return a text without control characters, shortened."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(fact))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
