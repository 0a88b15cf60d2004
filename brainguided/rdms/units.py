"""The unit of inference: which groups of conditions were sampled as one.

Eight objects of one category are not eight independent pictures. What is drawn, halved or permuted
must be what was sampled, or intervals are too narrow and tests find what is not there.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from brainguided.rdms.conditions import condition_index, stimulus_coords
from brainguided.rdms.labels import read_labels
from neural_data.errors import raise_problems

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

GROUPINGS = ("session", "category", "object_name")
"""Coordinates that name what was sampled; the coarsest of them is the unit by default."""
FACTORS = ("variation",)
"""Coordinates whose groups were chosen by the experimenter, not sampled."""
FEWEST_UNITS = 6
"""Of fewer units no interval holds what it promises, and few orders are different."""

UnitName = str | tuple[str, ...] | None


@dataclass(frozen=True, eq=False)
class Units:
    """Groups of conditions that were sampled as one, and the groups nested in them.

    Attributes
    ----------
    name : str
        Coordinate that the units are the values of; that of the conditions themselves where each
        is a unit of its own.
    levels : tuple of ndarray of int (condition,)
        Number of the group of each condition: of the units themselves, then of the groups nested
        in them, from coarse to fine.
    """

    name: str
    levels: tuple[np.ndarray, ...]

    @property
    def index(self) -> np.ndarray:
        """Number of the unit of each condition (condition,)."""
        return self.levels[0]

    @property
    def number(self) -> int:
        """How many units there are."""
        return int(self.index.max()) + 1

    @property
    def enough(self) -> bool:
        """Whether there are enough for intervals, halves and tests."""
        return self.number >= FEWEST_UNITS

    def select(self, conditions: Sequence[int] | np.ndarray) -> Units:
        """Return the units of some conditions, in the order of `conditions` (their numbers)."""
        kept = np.asarray(conditions)
        levels = [np.unique(level[kept], return_inverse=True)[1] for level in self.levels]
        return Units(self.name, tuple(levels))

    def permute(
        self, generator: np.random.Generator, *, within: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Exchange units with each other, and what is nested in them, at random.

        Conditions of one unit stay together: each unit takes the place of another, and within it
        the groups nested in it, and their conditions, are exchanged. Where two units differ in
        size, a random part of the larger one stands for it.

        Parameters
        ----------
        generator : numpy.random.Generator
        within : bool, optional
            Leave every unit in its place, and exchange within units only.

        Returns
        -------
        places, conditions : ndarray of int (kept,)
            Which condition takes which place; all of them where units have equal sizes.
        """
        number = len(self.index)
        if self.number == number and not within:
            return np.arange(number), generator.permutation(number)
        if self._balanced:
            keys = [generator.random(int(level.max()) + 1)[level] for level in self.levels]
            if within:
                keys[0] = self.index
            keys.append(generator.random(number))
            return np.lexsort(self.levels[::-1]), np.lexsort(keys[::-1])
        everything = np.arange(number)
        return self._match(everything, everything, 0, generator, (within, False))

    def shuffle(self, generator: np.random.Generator, *, within: bool = False) -> np.ndarray:
        """Return an order of all conditions (condition,) in which units of one shape are exchanged.

        As `permute`, but no condition is left out: units, and the groups nested in them, change
        places with those of the same sizes only.

        Raises
        ------
        ValueError
            If fewer than half of the units have another of the same sizes to change places with.
        """
        everything = np.arange(len(self.index))
        if self.number == len(everything) and not within:
            return generator.permutation(len(everything))
        if not within:
            shapes = [self._shape(members, 1) for members in self._split(everything, 0)]
            alone = sum(shapes.count(shape) == 1 for shape in shapes)
            if 2 * alone > len(shapes):
                raise ValueError(
                    f"{alone} of {len(shapes)} units ({self.name}) have a size or an inner "
                    "structure of their own, so that they cannot change places. Shuffle within "
                    "them (within=True), or name a finer unit, e.g. unit='stimulus'."
                )
        places, taken = self._match(everything, everything, 0, generator, (within, True))
        order = np.empty(len(everything), dtype=int)
        order[places] = taken
        return order

    def _match(
        self,
        a: np.ndarray,
        b: np.ndarray,
        level: int,
        generator: np.random.Generator,
        how: tuple[bool, bool],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Match the members `a` of one group to those, `b`, of another; `how`: within, exact."""
        if level == len(self.levels):
            kept = min(len(a), len(b))
            return generator.permutation(a)[:kept], generator.permutation(b)[:kept]
        within, exact = how
        groups_a, groups_b = self._split(a, level), self._split(b, level)
        if level == 0 and within:
            pairs = list(zip(groups_a, groups_b, strict=True))
        else:
            pairs = []
            kinds: dict[Any, tuple[list[np.ndarray], list[np.ndarray]]] = {}
            for side, groups in enumerate((groups_a, groups_b)):
                for group in groups:
                    kind = self._shape(group, level + 1) if exact else 0
                    kinds.setdefault(kind, ([], []))[side].append(group)
            for ones, others in kinds.values():
                first = [ones[k] for k in generator.permutation(len(ones))]
                second = [others[k] for k in generator.permutation(len(others))]
                pairs += zip(first, second, strict=False)
        found = [self._match(x, y, level + 1, generator, how) for x, y in pairs]
        return tuple(np.concatenate(side) for side in zip(*found, strict=True))  # type: ignore[return-value]

    def _split(self, members: np.ndarray, level: int) -> list[np.ndarray]:
        labels = self.levels[level][members]
        order = np.argsort(labels, kind="stable")
        ends = np.flatnonzero(np.diff(labels[order])) + 1
        return np.split(members[order], ends)

    def _shape(self, members: np.ndarray, level: int) -> Any:
        """Return the sizes of the groups nested in a group: equal for groups of one shape."""
        if level >= len(self.levels):
            return len(members)
        parts = [self._shape(part, level + 1) for part in self._split(members, level)]
        return tuple(sorted(parts, key=repr))

    @cached_property
    def _balanced(self) -> bool:
        """Whether the groups of every level are of one shape."""
        everything = np.arange(len(self.index))
        return all(
            len({self._shape(part, k + 1) for part in self._split(everything, k)}) == 1
            for k in range(len(self.levels))
        )


def find_units(
    labels: Mapping[str, Sequence[Any] | np.ndarray],
    number: int,
    *,
    by: str = "stimulus",
    unit: UnitName = None,
) -> Units:
    """Return what was sampled, from the labels of the conditions.

    Parameters
    ----------
    labels : mapping of str to sequence (condition,)
        Coordinates that are constant within every condition.
    number : int
        How many conditions there are.
    by : str, optional
        Coordinate that the conditions are the values of.
    unit : str or tuple of str, optional
        A coordinate, or several that are nested, the coarsest first; ``"stimulus"``, or `by`, for
        conditions that were sampled one by one. By default the coarsest of ``session``,
        ``category`` and ``object_name`` that groups conditions; names nested in it that are not
        numbers are then kept together within it.

    Returns
    -------
    Units

    Raises
    ------
    ValueError
        If a coordinate is not there, lacks labels, is not nested in the one before it, or gives
        fewer than 6 units.

    Warns
    -----
    UserWarning
        If another coordinate groups conditions across units, or the default has fewer than 6.
    """
    groups = {name: _number_groups(values) for name, values in labels.items()}
    sizes = {k: len(set(g.tolist())) for k, g in groups.items() if g is not None}
    grouping = {
        k: g
        for k, g in groups.items()
        if g is not None and 1 < sizes[k] < number and k not in FACTORS and k != by
    }
    single = (np.arange(number),)
    if unit is not None:
        names = (unit,) if isinstance(unit, str) else tuple(unit)
        if names in ((by,), ("stimulus",)):
            names, levels = (by,), []
        else:
            levels = _take_named(names, groups, number)
    else:
        known = sorted((k for k in GROUPINGS if k in grouping), key=lambda k: sizes[k])
        names, levels = tuple(known[:1]), [grouping[k] for k in known[:1]]
    top = levels[0] if levels else single[0]
    named = {k: g for k, g in grouping.items() if not _is_number(labels[k]) or k in GROUPINGS}
    if levels and not isinstance(unit, tuple):
        for name in sorted(set(named) - set(names), key=lambda k: sizes[k]):
            if _is_nested(named[name], levels[-1]) and sizes[name] > int(levels[-1].max()) + 1:
                levels.append(named[name])
    units = Units(names[0] if names else by, tuple(levels) or single)
    across = [k for k, g in named.items() if k not in names and not _is_nested(g, top)]
    if across:
        said = " and ".join(f"{k!r} ({sizes[k]} groups)" for k in across)
        warnings.warn(
            f"Conditions are grouped by {said} as well, which inference over units of "
            f"{units.name!r} ignores. If those were sampled, name them: unit={across[0]!r}.",
            stacklevel=2,
        )
    return units


def find_target_units(
    stimuli: xr.Dataset,
    by: str,
    unit: UnitName = None,
    *,
    descriptors: Mapping[str, Sequence[Any]] | None = None,
) -> Units:
    """Return the units of the conditions `by` of a stimulus set or recording; see `find_units`.

    `descriptors` (condition,) are labels that an RDM of these conditions carries.
    """
    index, names = condition_index(stimuli, by)
    first = np.array([int(np.flatnonzero(index == k)[0]) for k in range(len(names))])
    labels: dict[str, Any] = {
        k: v for k, v in (descriptors or {}).items() if k not in ("index", by)
    }
    for name, values in stimulus_coords(stimuli).items():
        if name not in (by, "stimulus") and (values[first][index] == values).all():
            labels[name] = values[first]
    return find_units(labels, len(names), by=by, unit=unit)


def find_rdm_units(*sides: RDMs, unit: UnitName = None) -> Units:
    """Return what was sampled among the conditions of RDMs, by the descriptors of all of them.

    Raises
    ------
    ValueError
        If two sides label the conditions otherwise; see also `find_units`.
    """
    first = sides[0]
    known = [k for k in first.pattern_descriptors if k != "index"]
    by = str(first.descriptors.get("conditions", "stimulus"))
    by = by if by in known else next(iter(known), by)
    labels = join_labels(*(side.pattern_descriptors for side in sides))
    names = {k: v for k, v in labels.items() if k not in ("index", by)}
    return find_units(names, first.n_cond, by=by, unit=unit)


def join_labels(*sides: Mapping[str, Sequence[Any] | np.ndarray]) -> dict[str, Any]:
    """Return the labels of the same conditions on several sides.

    Raises
    ------
    ValueError
        If a coordinate that may name units has other labels on another side.
    """
    joined: dict[str, Any] = {}
    other = []
    for side in sides:
        for name, values in side.items():
            before = joined.setdefault(name, values)
            if name in GROUPINGS and list(map(str, before)) != list(map(str, values)):
                other.append(f"{name!r} has other labels on one side than on the other")
    raise_problems("What was sampled is not clear", list(dict.fromkeys(other)), ValueError)
    return joined


def check_permutations(number: int) -> None:
    """Raise ValueError unless there are permutations: of none no p-value can be made."""
    if number < 1:
        raise ValueError(f"permutations is {number}; expected 1 or more.")


def refuse_few(units: Units) -> Units:
    """Return units, or raise ValueError where they are too few to draw, halve or permute."""
    if not units.enough:
        raise ValueError(
            f"There are {units.number} units ({units.name}); {FEWEST_UNITS} or more are needed to "
            "draw or permute them. To speak of other stimuli of these units, name a finer one, "
            "e.g. unit='stimulus'."
        )
    return units


def _number_groups(values: Sequence[Any] | np.ndarray) -> np.ndarray | None:
    """Return the number of the group of each condition; None where labels are lacking."""
    listed = values.tolist() if isinstance(values, np.ndarray) else list(values)
    if any(v is None or v != v or str(v) == "" for v in listed):
        return None
    labels = read_labels(listed, "units")
    known = {label: k for k, label in enumerate(dict.fromkeys(labels))}
    return np.array([known[label] for label in labels])


def _is_number(values: Sequence[Any] | np.ndarray) -> bool:
    """Whether labels are numbers: properties of stimuli, as a rule, and no names of groups."""
    try:
        np.asarray(values).astype(float)
    except (TypeError, ValueError):
        return False
    return True


def _is_nested(fine: np.ndarray, coarse: np.ndarray) -> bool:
    """Whether every group of `fine` lies in one of `coarse`."""
    return len(np.unique(np.stack([fine, coarse]), axis=1).T) == len(np.unique(fine))


def _take_named(
    names: tuple[str, ...], groups: Mapping[str, np.ndarray | None], number: int
) -> list[np.ndarray]:
    """Return the levels that were asked for, or raise ValueError with all that is wrong."""
    problems: list[str] = []
    levels: list[np.ndarray] = []
    for name in names:
        group = groups.get(name)
        if name not in groups:
            problems.append(
                f"no coordinate {name!r} that is constant within every condition; there are "
                f"{sorted(groups) or 'none'}"
            )
        elif group is None:
            problems.append(f"some conditions have no {name!r}: label them, or leave them out")
        else:
            if levels and not _is_nested(group, levels[-1]):
                problems.append(f"{name!r} is not nested in the coordinate named before it")
            levels.append(group)
    if not problems and int(levels[0].max()) + 1 < FEWEST_UNITS:
        problems.append(
            f"{names[0]!r} has {int(levels[0].max()) + 1} groups of {number} conditions: of fewer "
            f"than {FEWEST_UNITS} units no interval or test holds what it promises. Speak of other "
            "stimuli of these groups: unit='stimulus'"
        )
    raise_problems(f"No unit of inference {names}", problems, ValueError)
    return levels
