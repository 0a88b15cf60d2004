"""What one candidate showed, rung by rung: plain data from which every reward is computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any

ROUNDED = 6  # decimals kept of losses, controls and shuffles; areas stay exact
_LOSSES = "loss_sum"
Values = Mapping[str, "float | None"]


class NotMeasuredError(ValueError):
    """A number or rung was asked for that is not among what was measured."""


@dataclass(frozen=True)
class Rung:
    """What a candidate showed after a number of training steps.

    Attributes
    ----------
    step : int
        SGD steps made; 0 is the untrained network.
    performance : float or None
        P: accuracy on the validation images, 0 to 1.
    cross_entropy : float or None
        On the validation images, in nats.
    examples : int
        Training images processed until then, with all seeds.
    similarity : mapping of target to mapping of layer to (float or None)
        Similarity of every layer, by depth, to every target: the areas of the teacher and its
        controls. None for a dead layer.
    committed : mapping of target to (float or None)
        Similarity of the layer that was chosen on one half of the conditions and scored on the
        other, both ways, averaged over random halves.
    shuffles : mapping of area to mapping of {"best", "committed"} to sequence of (float or None)
        The same two numbers for copies of the area whose conditions were permuted.
    guidance : float or None
        TG where it was recorded without the similarities it is made of, as at the checkpoints
        of journals before format 4; else None.
    """

    step: int
    performance: float | None = None
    cross_entropy: float | None = None
    examples: int = 0
    similarity: Mapping[str, Values] = field(default_factory=dict)
    committed: Values = field(default_factory=dict)
    shuffles: Mapping[str, Mapping[str, Sequence[float | None]]] = field(default_factory=dict)
    guidance: float | None = None

    def best(self, target: str) -> tuple[str, float] | None:
        """Return the layer most similar to a target, the shallowest of equals, and how similar.

        None where no layer has a defined similarity.

        Raises
        ------
        KeyError
            There is no such target.
        """
        known = [(layer, r) for layer, r in self.similarity[target].items() if r is not None]
        return max(known, key=lambda pair: pair[1]) if known else None


@dataclass(frozen=True)
class Repeat:
    """What a candidate showed with one of several seeds of its weights.

    Attributes
    ----------
    seed : int
    rungs : tuple of Rung
    losses : sequence of float
        As in `Measurement`.
    """

    seed: int
    rungs: tuple[Rung, ...]
    losses: Sequence[float] = ()


@dataclass(frozen=True)
class Measurement:
    """Everything one candidate showed; a reward is a function of it.

    Attributes
    ----------
    areas : tuple of str
        Targets that may be rewarded by default: the teacher's areas. All others are controls.
    rungs : tuple of Rung
        By ascending step; the last is the end of the training.
    statistics : mapping of str to (float or None)
        Of the candidate itself, as "parameters" or "multiply_adds".
    losses : sequence of float
        Cross-entropy of the training batch of every step, in nats.
    repeats : tuple of Repeat
        One for each seed where there were several; `rungs` and `losses` are then their means, see
        `average_repeats`.

    Examples
    --------
    >>> rung = Rung(50, performance=0.5, similarity={"V4": {"layer1": 0.1, "layer2": 0.3}})
    >>> measurement = Measurement(("V4",), (rung,), {"parameters": 1000.0})
    >>> measurement.value("V4"), measurement.value("V4@layer1"), measurement.value("TG@50")
    (0.3, 0.1, 0.3)
    """

    areas: tuple[str, ...] = ()
    rungs: tuple[Rung, ...] = ()
    statistics: Values = field(default_factory=dict)
    losses: Sequence[float] = ()
    repeats: tuple[Repeat, ...] = ()

    @property
    def steps(self) -> tuple[int, ...]:
        """Steps of the rungs."""
        return tuple(rung.step for rung in self.rungs)

    @property
    def targets(self) -> tuple[str, ...]:
        """Areas and controls."""
        return tuple(self.rungs[-1].similarity) if self.rungs else ()

    @property
    def similarity(self) -> dict[str, Values]:
        """Similarity of every layer to each area, at the last rung."""
        known = self.rungs[-1].similarity if self.rungs else {}
        return {area: known[area] for area in self.areas if area in known}

    @property
    def best_layers(self) -> dict[str, str]:
        """For each area, the layer most similar to it; the shallowest of equals."""
        found = {area: self.best(area) for area in self.similarity}
        return {area: best[0] for area, best in found.items() if best is not None}

    def rung(self, step: int | None = None) -> Rung:
        """Return the rung of a step; default: the last.

        Raises
        ------
        ValueError
            It was not measured at this step.
        """
        for rung in reversed(self.rungs):
            if step is None or rung.step == step:
                return rung
        raise NotMeasuredError(f"Nothing was measured at step {step}, only at {list(self.steps)}.")

    def up_to(self, step: int | None) -> Measurement:
        """Return what was known at a rung: the measurement as if training had ended there.

        Raises
        ------
        ValueError
            It was not measured at this step.
        """
        if step is None:
            return self
        self.rung(step)
        repeats = tuple(
            replace(
                one,
                rungs=tuple(rung for rung in one.rungs if rung.step <= step),
                losses=one.losses[:step],
            )
            for one in self.repeats
        )
        rungs = tuple(rung for rung in self.rungs if rung.step <= step)
        return replace(self, rungs=rungs, losses=self.losses[:step], repeats=repeats)

    def of_seeds(self) -> tuple[Measurement, ...]:
        """Return what was measured with each seed alone; of one seed, the measurement itself."""
        alone = (
            replace(self, rungs=one.rungs, losses=one.losses, repeats=()) for one in self.repeats
        )
        return tuple(alone) or (self,)

    def best(self, target: str, step: int | None = None) -> tuple[str, float] | None:
        """Return the layer most similar to a target and how similar; see `Rung.best`."""
        return self.rung(step).best(target)

    def guidance(self, step: int | None = None) -> float | None:
        """Return TG: the mean over areas of the best layer's similarity; None without areas.

        An area to which no layer has a defined similarity counts as 0.
        """
        rung = self.rung(step)
        if not set(self.areas) <= rung.similarity.keys() or rung.guidance is not None:
            return rung.guidance
        return _mean_over(self.areas, lambda area: (rung.best(area) or ("", 0.0))[1])

    def value(self, name: str) -> float | None:
        """Return a number of the measurement by its name; None where it is undefined.

        Parameters
        ----------
        name : str
            "performance", "cross_entropy", "loss_sum" (of the training losses until then),
            "TG", "committed TG", a target ("V4": its best layer), "committed V4";
            each at the last rung, or with "@50" at that of step 50. "V4@layer3", "V4@layer3@50"
            is a layer fixed in advance. A statistic, as "parameters", has no rung; a prefix
            ``log_`` takes its natural logarithm.

        Raises
        ------
        ValueError
            There is no such number; the message lists those that there are.
        """
        if name in self.statistics:
            return self.statistics[name]
        if name.startswith("log_") and name[4:] in self.statistics:
            number = self.statistics[name[4:]]
            return math.log(number) if number is not None and number > 0 else None
        for base, read in self._readers():
            rest = name[len(base) :]
            if name.startswith(base) and (not rest or rest[0] == "@"):
                found: float | None = read(*rest[1:].split("@")) if rest else read()
                if found is not _NOTHING:
                    return found
        raise NotMeasuredError(
            f"There is no {name!r} in what was measured; there are {', '.join(self.names())}, with "
            f"@STEP at the rungs {list(self.steps)}, and log_ before a statistic."
        )

    def names(self) -> list[str]:
        """Return the names that `value` knows, without rungs, layers and logarithms."""
        return [*self.statistics, *(base for base, _ in self._readers())]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON.

        Losses, controls and shuffles are rounded to 6 decimals; P and the similarities to areas
        are kept as they are. Layers are named once.
        """
        layers = _common_layers(self.rungs)
        return {
            "areas": list(self.areas),
            "layers": layers,
            "rungs": [_pack_rung(rung, self.areas, layers) for rung in self.rungs],
            "statistics": dict(self.statistics),
            "losses": _round(self.losses),
            "repeats": [
                {
                    "seed": one.seed,
                    "rungs": [_pack_rung(rung, self.areas, layers) for rung in one.rungs],
                    "losses": _round(one.losses),
                }
                for one in self.repeats
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Measurement:
        """Return the measurement that `to_dict` wrote."""
        layers = data["layers"]

        def read(rungs: Sequence[Mapping[str, Any]]) -> tuple[Rung, ...]:
            return tuple(_unpack_rung(rung, layers) for rung in rungs)

        return cls(
            tuple(data["areas"]),
            read(data["rungs"]),
            dict(data["statistics"]),
            tuple(data["losses"]),
            tuple(
                Repeat(one["seed"], read(one["rungs"]), tuple(one["losses"]))
                for one in data["repeats"]
            ),
        )

    def _readers(self) -> Iterator[tuple[str, Callable[..., Any]]]:
        """Yield each name with what reads its value, given the parts that stood behind an @."""

        def at(read: Callable[[Rung], float | None]) -> Callable[..., Any]:
            def read_at(*parts: str) -> Any:
                found = self._find(parts[0]) if parts else self.rung()
                return _NOTHING if found is None or len(parts) > 1 else read(found)

            return read_at

        if not self.rungs:
            return
        last = self.rungs[-1]
        yield "performance", at(lambda rung: rung.performance)
        yield "cross_entropy", at(lambda rung: rung.cross_entropy)
        yield _LOSSES, at(lambda rung: _add(self.losses[: rung.step]) if self.losses else None)
        if self.areas or last.guidance is not None:
            yield "TG", at(lambda rung: self.guidance(rung.step))
            if last.committed:
                yield (
                    "committed TG",
                    at(lambda rung: _mean_over(self.areas, lambda a: rung.committed.get(a) or 0.0)),
                )
        for target in sorted(last.similarity, key=len, reverse=True):  # "V4" begins "V4@a" too
            yield target, self._reader_of(target)
        for target in last.committed:
            yield f"committed {target}", at(partial(_get, target))

    def _reader_of(self, target: str) -> Callable[..., Any]:
        """Return what reads the similarity to a target: of the best layer, or of a given one."""

        def read(*parts: str) -> Any:
            steps = [found for part in parts[-1:] if (found := self._find(part)) is not None]
            rung, names = (steps[0], parts[:-1]) if steps else (self.rung(), parts)
            values = rung.similarity.get(target, {})
            if not names:
                return (rung.best(target) or ("", None))[1] if target in rung.similarity else None
            layer = "@".join(names)
            return values.get(layer, _NOTHING)

        return read

    def _find(self, step: str) -> Rung | None:
        return next((rung for rung in self.rungs if str(rung.step) == step), None)


_NOTHING: Any = object()
_NUMBERS = ("step", "performance", "cross_entropy", "examples")


def _get(target: str, rung: Rung) -> float | None:
    return rung.committed.get(target)


def _mean_over(areas: Sequence[str], read: Callable[[str], float]) -> float | None:
    return _add(read(area) for area in areas) / len(areas) if areas else None


def _add(values: Any) -> float:
    total = 0.0
    for value in values:  # sum() rounds in another way from Python 3.12 on
        total += value
    return total


def _round(values: Any) -> Any:
    """Return nested numbers with 6 decimals."""
    if isinstance(values, Mapping):
        return {name: _round(value) for name, value in values.items()}
    if isinstance(values, int | float) or values is None:
        return None if values is None else round(float(values), ROUNDED)
    return [_round(value) for value in values]


def _common_layers(rungs: Sequence[Rung]) -> list[str]:
    """Return the layers of the first target: all others have the same, as a rule."""
    return next((list(layers) for rung in rungs for layers in rung.similarity.values()), [])


def _pack_rung(rung: Rung, areas: Sequence[str], layers: list[str]) -> dict[str, Any]:
    packed: dict[str, Any] = {name: getattr(rung, name) for name in _NUMBERS}
    packed["similarity"] = {}
    for target, values in rung.similarity.items():
        kept = dict(values) if target in areas else _round(values)
        packed["similarity"][target] = list(kept.values()) if list(kept) == layers else kept
    packed["committed"] = {
        target: value if target in areas else _round(value)
        for target, value in rung.committed.items()
    }
    packed["shuffles"] = _round(rung.shuffles)
    if rung.guidance is not None:
        packed["guidance"] = rung.guidance
    return packed


def _unpack_rung(data: Mapping[str, Any], layers: list[str]) -> Rung:
    known = {name: data[name] for name in (one.name for one in fields(Rung)) if name in data}
    known["similarity"] = {
        target: dict(zip(layers, values, strict=True)) if isinstance(values, list) else values
        for target, values in data["similarity"].items()
    }
    return Rung(**known)
