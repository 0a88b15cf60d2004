"""Labels of the conditions of RDMs: two RDMs are compared only if their labels agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from neural_data.errors import AlignmentError, RecordingError, check_type

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

TIME_DESCRIPTORS = ("time_bin_start", "time_bin_end", "time_bin")
"""RDM descriptors that say of which time bin an RDM is."""


def check_rdms(rdms: Any, *, name: str = "The RDMs") -> None:
    """Raise a TypeError unless these are RDMs of rsatoolbox, without importing it."""
    check_type(
        hasattr(rdms, "pattern_descriptors") and hasattr(rdms, "dissimilarities"),
        rdms,
        name=name,
        wanted="rsatoolbox.rdm.RDMs, as compute_rdms(recording) returns them",
    )


def condition_labels(rdms: RDMs, *, name: str = "The RDMs") -> list[str]:
    """Return the labels of the conditions of `rdms`, in order.

    The label is the pattern descriptor named by ``descriptors["conditions"]``, else
    ``stimulus``, else the only descriptor besides rsatoolbox's ``index``.

    Raises
    ------
    AlignmentError
        If there is no such descriptor or its values repeat.
    TypeError
        If these are no RDMs.
    """
    check_rdms(rdms, name=name)
    descriptors = {k: v for k, v in rdms.pattern_descriptors.items() if k != "index"}
    key = rdms.descriptors.get("conditions", "stimulus")
    if key not in descriptors and len(descriptors) == 1:
        key = next(iter(descriptors))
    if key not in descriptors:
        raise AlignmentError(
            f"{name} carry no labels of their conditions, only {sorted(descriptors)}. Add them "
            "with pattern_descriptors={'stimulus': [...]}: without labels a comparison could "
            "pair the wrong stimuli unseen."
        )
    labels = [str(v) for v in descriptors[key]]
    if len(set(labels)) < len(labels):
        raise AlignmentError(
            f"{name} have repeated condition labels, e.g. {repeated(labels)[:3]}; labels must be "
            "unique."
        )
    return labels


def check_alignment(first: list[str], second: list[str], *, names: tuple[str, str]) -> None:
    """Raise AlignmentError unless two lists of condition labels are identical."""
    if first == second:
        return
    where = next((i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), None)
    seen = f"{names[0]} has {len(first)} stimuli and {names[1]} {len(second)}"
    if where is not None:
        seen += f"; they first differ at position {where} ({first[where]!r}, {second[where]!r})"
    if sorted(first) == sorted(second):
        advice = (
            "They are the same stimuli in another order: select with "
            "responses.sel(stimulus=...) first."
        )
    else:
        common = len(set(first) & set(second))
        advice = f"They have {common} stimuli in common: " + (
            "select those in both first."
            if common
            else "give both the same names, or the same data."
        )
    raise AlignmentError(f"{seen}. {advice}")


def name_rdms(rdms: RDMs, descriptor: str = "area", *, unnamed: str = "rdm{}") -> list[str]:
    """Return a name for each RDM: area or layer, and time bin where it has one.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
    descriptor : str, optional
        RDM descriptor that holds the names; where it is lacking, "layer", "area" or "name".
    unnamed : str, optional
        Names of RDMs without any of these, with ``{}`` for their number from 0.

    Returns
    -------
    list of str
        For instance "IT, 70-80 ms".
    """
    known = rdms.rdm_descriptors
    key = next((name for name in (descriptor, "layer", "area", "name") if name in known), None)
    names = known[key] if key else [unnamed.format(k) for k in range(rdms.n_rdm)]
    times = [name for name in TIME_DESCRIPTORS if name in known]
    return [
        f"{name}{describe_time({time: known[time][k] for time in times})}"
        for k, name in enumerate(names)
    ]


def describe_time(time: Mapping[str, Any]) -> str:
    """Return what follows the name of an area in one time bin, e.g. ", 70-80 ms"; else ""."""
    if "time_bin_start" in time and "time_bin_end" in time:
        return f", {time['time_bin_start']:.10g}-{time['time_bin_end']:.10g} ms"
    return f", time bin {time['time_bin']}" if "time_bin" in time else ""


def read_labels(values: Iterable[Any], name: str) -> list[str]:
    """Return labels as text.

    Raises
    ------
    RecordingError
        If a number and a text that reads the same, 1 and "1", are both among them: they would
        become one label.
    """
    known: dict[str, bool] = {}
    mixed = []
    labels = []
    for value in values:
        text = str(value)
        if known.setdefault(text, isinstance(value, str)) != isinstance(value, str):
            mixed.append(text)
        labels.append(text)
    if mixed:
        raise RecordingError(
            f"{name!r} holds both the text and the number {sorted(set(mixed))[:3]}, which would "
            "become one group. Give all of them as text, or as numbers."
        )
    return labels


def repeated(labels: Iterable[str]) -> list[str]:
    """Return the labels that occur more than once, sorted."""
    seen: set[str] = set()
    return sorted({x for x in labels if x in seen or seen.add(x)})  # type: ignore[func-returns-value]
