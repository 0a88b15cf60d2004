"""What an evaluation may say of a candidate: checked and made plain, before anything is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from brainguided.engines.output import clean
from brainguided.journal.earlier import read_earlier
from brainguided.journal.measurement import Measurement, Repeat, Rung

_LONGEST_TEXT = 10_000  # characters
_MOST_TEXT = 2**20  # characters of one measurement
_MOST_VALUES = 200_000  # of one measurement
_DEEPEST = 8  # lists in lists
_INTEGERS = 2**63  # of SQLite
_NAMED = 5  # problems
_MOST_PROBLEMS = 1000  # after which nothing more is read


class MeasurementError(ValueError):
    """What an evaluation returned is no measurement."""


def validate_measurement(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is recorded of an evaluation as plain data that JSON and SQLite can hold.

    Scalars of numpy and torch become numbers; numbers that are not finite become None. A done
    candidate whose reward is not finite has failed, with the reason "nan"; one without a reward
    has to be measured at some rung, from which the search computes it. A measurement becomes what
    `Measurement.to_dict` returns; "similarity" and "history", of before there were any, become
    one. Nothing else is changed.

    Raises
    ------
    MeasurementError
        Anything in it is of another kind, too long, too deep or too large; all that is, at once.
    """
    checker = _Checker()
    unknown = sorted(set(values) - set(FIELDS))
    if unknown:
        checker.problems.append(f"there is no {', '.join(map(clean, map(str, unknown)))}")
    plain: dict[str, Any] = {}
    with suppress(_TooMuchError):  # what is wrong is among the problems
        for name, check in FIELDS.items():
            if name in values:
                plain[name] = check(checker, name, values[name])
    if "outcome" not in values:
        checker.problems.append("there is no outcome")
    earlier = {name: plain.pop(name, None) for name in _EARLIER}
    if checker.problems:
        more = len(checker.problems) - _NAMED
        text = "; ".join(checker.problems[:_NAMED])
        raise MeasurementError(f"{text}; {more} more" if more > 0 else text)
    if values.get("reward") is not None and plain["reward"] is None:  # not finite
        plain |= {"outcome": "failed", "reason": plain.get("reason") or "nan"}
    if plain.get("measurement") is None and any(earlier.values()):  # of a function of before
        found = read_earlier(plain, earlier["similarity"] or {}, earlier["history"] or ())
        plain["measurement"] = found.to_dict()
    return plain


class _TooMuchError(Exception):
    """Raised to read no further: values may have no end."""


class _Checker:
    """Hold the problems met so far, and how much more of a measurement may come."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._values, self._characters = _MOST_VALUES, _MOST_TEXT

    def _refuse(self, name: str, value: Any, expected: str) -> None:
        self.problems.append(f"{name} is {_describe(value)}; expected {expected}")
        if len(self.problems) >= _MOST_PROBLEMS:
            raise _TooMuchError

    def _count(self, name: str, characters: int = 0) -> bool:
        """Return that one more value is allowed, or read no further."""
        self._values -= 1
        self._characters -= characters
        if self._values < 0 or self._characters < 0:
            self.problems.append(
                f"{name} holds more than {_MOST_VALUES} values or {_MOST_TEXT} characters"
            )
            raise _TooMuchError
        return True

    def outcome(self, name: str, value: Any) -> Any:
        if not isinstance(value, str) or value not in ("done", "failed"):
            self._refuse(name, value, "'done' or 'failed'")
        return value

    def text(self, name: str, value: Any) -> Any:
        if not isinstance(value, str) or len(value) > _LONGEST_TEXT or not _is_unicode(value):
            self._refuse(name, value, f"text of at most {_LONGEST_TEXT} characters")
            return None
        self._count(name, len(value))
        return str(value)

    def number(self, name: str, value: Any) -> float | None:
        value = _unwrap(value)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not _fits(value):
            self._refuse(name, value, "a number or None")
            return None
        return float(value) if math.isfinite(value) else None

    def natural(self, name: str, value: Any) -> int | None:
        value = _unwrap(value)
        if value is None:
            return None
        if type(value) is not int or not 0 <= value < _INTEGERS:
            self._refuse(name, value, f"a whole number from 0 to {_INTEGERS - 1}, or None")
            return None
        return value

    def similarity(self, name: str, value: Any) -> dict[str, Any]:
        return {
            area: {
                layer: self.number(f"{name} of {layer} to {area}", number)
                for layer, number in self._items(f"{name} to {area}", layers)
            }
            for area, layers in self._items(name, value)
        }

    def history(self, name: str, value: Any) -> list[dict[str, Any]]:
        if not isinstance(value, list | tuple):
            self._refuse(name, value, "a list of what was measured at each step")
            return []
        return [
            {key: self._plain(f"{name} ({key})", inner, 0) for key, inner in self._items(name, row)}
            for row in value
            if self._count(name)
        ]

    def measurement(self, name: str, value: Any) -> dict[str, Any] | None:
        if value is None:
            return None
        try:
            given = Measurement.from_dict(value) if isinstance(value, Mapping) else value
            found = Measurement(
                tuple(self.text(f"{name}: an area", area) for area in given.areas),
                self._rungs(name, given.rungs),
                self._numbers(f"{name}: statistic", given.statistics),
                tuple(self._list(f"{name}: losses", given.losses)),
                tuple(
                    Repeat(
                        self.natural(f"{name}: seed", one.seed) or 0,
                        self._rungs(name, one.rungs),
                        tuple(self._list(f"{name}: losses", one.losses)),
                    )
                    for one in given.repeats
                ),
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            self._refuse(name, value, "a brainguided Measurement")
            return None
        if list(found.steps) != sorted(set(found.steps)):
            self.problems.append(f"{name} has rungs {list(found.steps)}; expected ascending steps")
        return None if self.problems else found.to_dict()

    def _rungs(self, name: str, rungs: Any) -> tuple[Rung, ...]:
        return tuple(
            Rung(
                self.natural(f"{name}: step", rung.step) or 0,
                self.number(f"{name}: performance", rung.performance),
                self.number(f"{name}: cross_entropy", rung.cross_entropy),
                self.natural(f"{name}: examples", rung.examples) or 0,
                self.similarity(f"{name}: similarity", rung.similarity),
                self._numbers(f"{name}: committed", rung.committed),
                {
                    area: {
                        kind: self._list(f"{name}: shuffles of {area}", values)
                        for kind, values in self._items(f"{name}: shuffles of {area}", known)
                    }
                    for area, known in self._items(f"{name}: shuffles", rung.shuffles)
                },
                self.number(f"{name}: guidance", rung.guidance),
            )
            for rung in rungs
            if self._count(name)
        )

    def _numbers(self, name: str, values: Any) -> dict[str, float | None]:
        return {
            key: self.number(f"{name} {key}", value) for key, value in self._items(name, values)
        }

    def _list(self, name: str, values: Any) -> list[Any]:
        return [self.number(name, value) for value in values if self._count(name)]

    def _items(self, name: str, value: Any) -> list[tuple[str, Any]]:
        """Return the items of a mapping from text."""
        if not isinstance(value, Mapping):
            self._refuse(name, value, "a mapping")
            return []
        found = []
        for key, inner in value.items():
            if not isinstance(key, str) or len(key) > 500 or not _is_unicode(key):
                self._refuse(f"a name in {name}", key, "text of at most 500 characters")
            else:
                self._count(name, len(key))
                found.append((str(key), inner))
        return found

    def _plain(self, name: str, value: Any, depth: int) -> Any:
        """Return any data that JSON can hold."""
        value = _unwrap(value)
        if depth > _DEEPEST:
            self.problems.append(f"{name} is nested more than {_DEEPEST} deep")
            return None
        if isinstance(value, Mapping):
            items = self._items(name, value)
            return {key: self._plain(name, inner, depth + 1) for key, inner in items}
        if isinstance(value, list | tuple):
            return [self._plain(name, inner, depth + 1) for inner in value if self._count(name)]
        if isinstance(value, str):
            return self.text(name, value)
        if value is None or isinstance(value, bool):
            return value
        if not isinstance(value, int | float) or not _fits(value):
            self._refuse(name, value, "numbers, text, lists and mappings")
            return None
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else None
        return int(value)


FIELDS: dict[str, Callable[[_Checker, str, Any], Any]] = {  # what is recorded of an evaluation
    "outcome": _Checker.outcome,
    "reason": _Checker.text,
    "performance": _Checker.number,
    "guidance": _Checker.number,
    "reward": _Checker.number,
    "measurement": _Checker.measurement,
    "similarity": _Checker.similarity,
    "history": _Checker.history,
    "n_parameters": _Checker.natural,
    "examples": _Checker.natural,
}


_EARLIER = ("similarity", "history")
OPTIONAL = ("measurement", *_EARLIER)


def _unwrap(value: Any) -> Any:
    """Return the number in a scalar of numpy or torch, or in an array of no dimensions.

    Times are no numbers, and what is masked holds none, though both would give one.
    """
    if getattr(value, "shape", None) != () or not callable(getattr(value, "item", None)):
        return value
    mask = getattr(value, "mask", False)
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind in ("m", "M") or (not callable(mask) and bool(mask)):
        return value
    return float(value.item()) if kind == "f" else value.item()  # one of long doubles is no float


def _fits(value: float) -> bool:
    return isinstance(value, float) or -_INTEGERS <= value < _INTEGERS


def _is_unicode(text: str) -> bool:
    """Return whether a text has no half of a surrogate pair, which no file can hold."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _describe(value: Any) -> str:
    """Return what was seen, in a few words."""
    kind = type(value).__name__
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"{kind} of shape {tuple(shape)}"
    if isinstance(value, str):
        return f"text of {len(value)} characters" if len(value) > 40 else ascii(value)
    if isinstance(value, int) and not _fits(value):
        return f"an integer of {value.bit_length()} bits"
    return f"{value!a}" if isinstance(value, int | float) else f"of type {kind}"
