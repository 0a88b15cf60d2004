"""Measurements of many candidates as arrays, with one axis each for rungs, layers and targets."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from brainguided.journal.means import spread_repeats
from brainguided.journal.measurement import Measurement, Rung

Variable = tuple[tuple[str, ...], np.ndarray, dict[str, Any]]
_NAMES = {
    "performance": "P: validation accuracy",
    "guidance": "TG: mean over areas of the best layer's similarity",
    "cross_entropy": "cross-entropy on the validation images",
    "similarity": "similarity of a layer to a target",
    "committed": "similarity of layers chosen on other conditions",
    "shuffled": "similarity of the best layer to a shuffled area",
    "shuffled_committed": "committed similarity to a shuffled area",
    "copied": "similarity of the best layer to a noisy copy of a control",
    "copied_committed": "committed similarity to a noisy copy of a control",
    "statistics": "statistics of the candidates",
    "performance_sd": "standard deviation of P over seeds of the weights",
    "guidance_sd": "standard deviation of TG over seeds of the weights",
    "cross_entropy_sd": "standard deviation of the cross-entropy over seeds of the weights",
    "similarity_sd": "standard deviation of the similarity over seeds of the weights",
    "committed_sd": "standard deviation of the committed similarity over seeds of the weights",
}
_RUNG = ("candidate", "rung")
_DRAWN = {"shuffled": "shuffle", "copied": "copy"}  # what was drawn several times, and its axis


class Axes:
    """All rungs, layers, targets and statistics met in measurements."""

    def __init__(self) -> None:
        self._steps: set[int] = set()
        self._layers: set[str] = set()
        self._targets: dict[str, bool] = {}  # whether it is an area
        self._statistics: dict[str, None] = {}
        self._drawn: dict[str, dict[str, None]] = {kind: {} for kind in _DRAWN}
        self._most = dict.fromkeys(_DRAWN, 0)
        self._repeated = False

    def add(self, measurement: Measurement) -> None:
        """Take note of what one measurement holds."""
        self._statistics |= dict.fromkeys(measurement.statistics)
        self._repeated |= bool(measurement.repeats)
        for rung in measurement.rungs:
            self._steps.add(rung.step)
            for target, layers in rung.similarity.items():
                self._targets.setdefault(target, target in measurement.areas)
                self._layers.update(layers)
            for target, known in rung.shuffles.items():
                kind = _kind_of_drawn(measurement, rung, target)
                self._drawn[kind][target] = None
                self._most[kind] = max(self._most[kind], *map(len, known.values()), 0)

    def to_coords(self) -> dict[str, Any]:
        """Return the coordinates: areas come before controls, layers in their natural order."""
        targets = sorted(self._targets, key=lambda target: not self._targets[target])
        kinds = ["area" if self._targets[target] else "control" for target in targets]
        coords: dict[str, Any] = {
            "rung": ("rung", whole(sorted(self._steps)), {"long_name": "training steps"}),
            "layer": np.array(sorted(self._layers, key=_natural), dtype=str),
            "target": np.array(targets, dtype=str),
            "kind": ("target", np.array(kinds, dtype=str)),
            "statistic": np.array(list(self._statistics), dtype=str),
        }
        for kind, names in self._drawn.items():
            if names:
                coords[f"{kind}_target"] = np.array(list(names), dtype=str)
        return coords

    def fill(self, n: int, measurements: Iterable[Measurement]) -> dict[str, Variable]:
        """Return the arrays of `n` measurements: dims, values and attributes of each."""
        coords = self.to_coords()
        rungs = _index(coords["rung"][1].tolist())
        layers, targets = _index(coords["layer"].tolist()), _index(coords["target"].tolist())
        statistics = _index(self._statistics)
        dims: dict[str, tuple[str, ...]] = {
            "performance": _RUNG,
            "guidance": _RUNG,
            "cross_entropy": _RUNG,
            "similarity": (*_RUNG, "layer", "target"),
            "committed": (*_RUNG, "target"),
            "statistics": ("candidate", "statistic"),
        }
        if self._repeated:
            dims |= {f"{name}_sd": of for name, of in dims.items() if name != "statistics"}
        for kind, axis in _DRAWN.items():
            if self._drawn[kind]:
                names = (kind, f"{kind}_committed")
                dims |= dict.fromkeys(names, (*_RUNG, f"{kind}_target", axis))
        sizes = {
            "candidate": n, "rung": len(rungs), "layer": len(layers), "target": len(targets),
            "statistic": len(statistics),
            **{f"{kind}_target": len(names) for kind, names in self._drawn.items()},
            **{axis: self._most[kind] for kind, axis in _DRAWN.items()},
        }  # fmt: skip
        many = set(_DRAWN.values())
        drawn = {kind: _index(names) for kind, names in self._drawn.items()}
        arrays = {
            # Shuffles and copies are kept with 6 decimals
            name: np.full([sizes[d] for d in of], np.nan, "f4" if of[-1] in many else "f8")
            for name, of in dims.items()
        }
        for row, measurement in enumerate(measurements):
            for name, value in measurement.statistics.items():
                arrays["statistics"][row, statistics[name]] = _float(value)
            for rung in measurement.rungs:
                at = (row, rungs[rung.step])
                arrays["guidance"][at] = _float(measurement.guidance(rung.step))
                _fill_rung(arrays, at, rung, layers, targets)
                for target, known in rung.shuffles.items():
                    kind = _kind_of_drawn(measurement, rung, target)
                    for name, key in ((kind, "best"), (f"{kind}_committed", "committed")):
                        found = floats(known.get(key, ()))
                        arrays[name][at][drawn[kind][target], : len(found)] = found
            for rung in spread_repeats(measurement):
                at = (row, rungs[rung.step])
                arrays["guidance_sd"][at] = _float(rung.guidance)
                _fill_rung(arrays, at, rung, layers, targets, "_sd")
        return {
            name: (of, arrays[name], {"long_name": _NAMES[name], "units": _unit(name)})
            for name, of in dims.items()
        }


def _fill_rung(
    arrays: Mapping[str, np.ndarray],
    at: tuple[int, int],
    rung: Rung,
    layers: Mapping[str, int],
    targets: Mapping[str, int],
    kind: str = "",
) -> None:
    """Enter the numbers of one rung; `kind` ends the names of the arrays."""
    arrays[f"performance{kind}"][at] = _float(rung.performance)
    arrays[f"cross_entropy{kind}"][at] = _float(rung.cross_entropy)
    for target, values in rung.similarity.items():
        rows = [layers[layer] for layer in values]
        arrays[f"similarity{kind}"][at][rows, targets[target]] = floats(values.values())
    for target, value in rung.committed.items():
        if target in targets:
            arrays[f"committed{kind}"][(*at, targets[target])] = _float(value)


def _kind_of_drawn(measurement: Measurement, rung: Rung, target: str) -> str:
    """Return whether what stands among the shuffles are shuffles, or copies of a control."""
    is_control = target in rung.similarity and target not in measurement.areas
    return "copied" if is_control else "shuffled"


def _unit(name: str) -> str:
    return "nat" if name.startswith("cross_entropy") else "1"


def whole(values: Iterable[int | None]) -> np.ndarray:
    """Return whole numbers, -1 for None."""
    return np.array([-1 if value is None else value for value in values], dtype=np.int64)


def floats(values: Iterable[float | None]) -> np.ndarray:
    """Return numbers, NaN for None."""
    return np.array([_float(value) for value in values], dtype=float)


def _float(value: float | None) -> float:
    return math.nan if value is None else value


def _index(names: Iterable[Any] | Sequence[Any]) -> dict[Any, int]:
    return {name: place for place, name in enumerate(names)}


def _natural(name: str) -> tuple[str, int]:
    """Return a key that sorts layer2 before layer10."""
    head, tail = re.fullmatch(r"(.*?)(\d*)", name, re.DOTALL).groups()  # type: ignore[union-attr]
    return head, int(tail or 0)
