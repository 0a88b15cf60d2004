"""What every kind of architecture has to offer, and how its JSON is read."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import fields
from functools import cached_property
from typing import Any, ClassVar, TypeVar

from brainguided.architectures.blueprint import Blueprint
from neural_data.errors import raise_problems

_LARGEST = 100_000  # beyond this a size is a typing error, not an architecture
_Self = TypeVar("_Self", bound="Architecture")


class Architecture(ABC):
    """One choice out of a search space, independent of how it is computed.

    Kinds of architectures are frozen dataclasses; two are equal exactly when their JSON is.
    """

    kind: ClassVar[str]

    @abstractmethod
    def to_blueprint(self, n_classes: int, in_channels: int = 3) -> Blueprint:
        """Return the layers of the network, named, with those that are observed."""

    @abstractmethod
    def to_data(self) -> dict[str, Any]:
        """Return the fields as plain data fit for JSON."""

    @classmethod
    @abstractmethod
    def from_data(cls: type[_Self], data: dict[str, Any]) -> _Self:
        """Return the architecture that `to_data` wrote, or raise ValueError with all problems."""

    @cached_property
    def canonical(self) -> str:
        """Text that is the same for architectures that differ only in how they are written."""
        return self.to_json()

    @cached_property
    def canonical_key(self) -> str:
        """SHA-256 of `canonical` in hexadecimal: isomorphic architectures share it.

        Those that share it have the same network; a kind whose `canonical` does not promise that
        hashes something finer. `unique` proposals and finalists are told apart by it.
        """
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    @cached_property
    def key(self) -> str:
        """SHA-256 of the JSON in hexadecimal: equal for equal architectures only."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def count_parameters(self, n_classes: int) -> int:
        """Return the number of trainable parameters, without building the network."""
        return self.to_blueprint(n_classes).n_parameters

    def count_multiply_adds(self, image_size: int, n_classes: int) -> int:
        """Return the multiply-adds for one image of `image_size` pixels a side, without building.

        Those of convolutions and of the classifier, as is usual; additions, pooling and batch
        norm are left out.
        """
        return self.to_blueprint(n_classes).count_multiply_adds(image_size)

    def to_json(self) -> str:
        """Return the canonical JSON: one line, keys sorted, no spaces."""
        return self._json

    @cached_property
    def _json(self) -> str:
        data = {"kind": self.kind, **self.to_data()}
        return json.dumps(data, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls: type[_Self], text: str) -> _Self:
        """Read an architecture of any kind from its JSON, refusing whatever is not exactly one.

        Parameters
        ----------
        text : str
            As `to_json` writes it; spaces and the order of keys do not matter. Every key has to
            be there: a file says what was evaluated, not what a default is today.

        Raises
        ------
        ValueError
            Not JSON, unknown or missing keys, bad values; every problem is listed.
        """
        try:
            data = json.loads(text, object_pairs_hook=_refuse_repeated_keys)
        except (TypeError, ValueError) as error:
            raise ValueError(f"Not the JSON of an architecture: {error}.") from error
        kinds = {found.kind: found for found in _leaves(cls)}
        if not isinstance(data, dict):
            refuse([f"it is a {type(data).__name__}, expected an object with 'kind'"])
        if data.get("kind") not in kinds:
            named = f"is {data['kind']!r}" if "kind" in data else "is missing"
            known = ", ".join(map(repr, sorted(kinds)))
            refuse([f"kind {named}, expected {'one of ' if len(kinds) > 1 else ''}{known}"])
        return kinds[data.pop("kind")].from_data(data)


def _leaves(cls: type[_Self]) -> list[type[_Self]]:
    below = cls.__subclasses__()
    return [leaf for sub in below for leaf in _leaves(sub)] if below else [cls]


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"repeated key {', '.join(map(repr, repeated))}")
    return dict(pairs)


def refuse(problems: list[str], what: str = "the JSON of an architecture") -> None:
    """Raise ValueError with all problems, if there are any."""
    raise_problems(f"Not {what}", problems, ValueError)


def key_problems(data: Any, expected: Sequence[str], where: str = "") -> list[str]:
    """Return what is wrong with the keys of an object."""
    if not isinstance(data, dict):
        return [f"{where}is a {type(data).__name__}, expected an object"]
    unknown = sorted(set(data) - set(expected))
    missing = sorted(set(expected) - set(data))
    problems = []
    if unknown:
        names = ", ".join(map(repr, unknown))
        problems.append(f"{where}unknown key {names}; known: {', '.join(sorted(expected))}")
    if missing:
        problems.append(f"{where}missing key {', '.join(map(repr, missing))}")
    return problems


def is_count(value: Any, smallest: int = 1) -> bool:
    """Return whether a value is a plain int of a believable size."""
    # bool is a subclass of int, and numpy integers would not survive the JSON
    return type(value) is int and smallest <= value <= _LARGEST


def count_problems(owner: Any, *names: str, smallest: int = 1) -> list[str]:
    """Return what is wrong with whole numbers among the attributes of an object."""
    return [
        f"{name} is {getattr(owner, name)!r}, expected a whole number, at least {smallest}"
        for name in names
        if not is_count(getattr(owner, name), smallest)
    ]


def read_parts(part: Any, data: Any, where: str, problems: list[str]) -> tuple[Any, ...]:
    """Read a list of objects as dataclasses `part`, adding to `problems` what is wrong.

    Lists inside the objects become tuples.
    """
    if not isinstance(data, list):
        problems.append(f"{where} is a {type(data).__name__}, expected a list")
        return ()
    names = [item.name for item in fields(part)]
    parts = []
    for number, item in enumerate(data, 1):
        wrong = key_problems(item, names, f"{where} {number}: ")
        if not wrong:
            values = {k: tuple(v) if isinstance(v, list) else v for k, v in item.items()}
            try:
                parts.append(part(**values))
            except ValueError as error:
                wrong = [
                    f"{where} {number}: {line.removeprefix('  - ')}"
                    for line in str(error).split("\n")[1:]
                ]
        problems += wrong
    return tuple(parts)
