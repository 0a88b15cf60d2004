"""Which keys of a description go together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neural_data.errors import format_names
from neural_data.formats._described_keys import AXES, is_several

BOUNDS = ({"edges"}, {"start", "end"}, {"start", "width"}, {"start", "width", "number"})


def check_axis_names(content: Mapping[str, Any]) -> list[str]:
    """List what is wrong with the names of axes; values of another kind were told already."""
    axes, conditions = content.get("axes", []), content.get("conditions", {})
    if not isinstance(axes, list) or not isinstance(conditions, dict):
        return []
    names = [axis for axis in axes if isinstance(axis, str)]
    unknown = [axis for axis in names if axis not in AXES and axis not in conditions]
    if unknown or set(conditions) & set(AXES):
        return [
            f"axes is {axes}; expected a list of {format_names(AXES)}, each once, and of other "
            "names that [conditions] has"
        ]
    return []


def check_layout(content: Mapping[str, Any]) -> list[str]:
    """List the keys that are missing beside others, or do not go with them."""
    problems: list[str] = []
    if "pool" in content and not _is_several(content):
        problems.append("pool is given, but only one file")
    if "spikes" in content:
        return problems + _check_spikes(content)
    onset = content.get("presentation", {}).get("onset")
    if onset is not None:
        problems.append("presentation.onset is for spikes, and there are no [spikes]")
    if "columns" in content:
        return problems + _check_columns(content)
    problems += [
        f"{key} is given, but no [columns] of a table"
        for key in ("comment", "decimal")
        if key in content and not _names_tables(content)
    ]
    if "axes" not in content:
        return [
            *problems,
            "no axes are given, e.g. axes = ['stimulus', 'site'], no [columns] of a table and no "
            "[spikes]",
        ]
    return problems + _check_axes(content)


def _names_tables(content: Mapping[str, Any]) -> bool:
    """Whether any list or table of names lies in a table."""
    return any(ending in str(content).lower() for ending in (".csv", ".tsv", ".txt"))


def _is_several(content: Mapping[str, Any]) -> bool:
    return is_several(content.get("file", ""))


def _refuse(content: Mapping[str, Any], beside: str, keys: Mapping[str, str]) -> list[str]:
    return [
        f"{key} does not go with [{beside}]: {why}" for key, why in keys.items() if key in content
    ]


def _check_spikes(content: Mapping[str, Any]) -> list[str]:
    spikes, presentation = content["spikes"], content.get("presentation", {})
    problems = _refuse(
        content,
        "spikes",
        {
            "axes": "spikes have none",
            "variable": "name it in spikes.times",
            "columns": "spikes.columns names those of a table",
            "conditions": "each presentation has one stimulus",
            "missing": "a spike that is missing is none",
            "pool": "spikes of several files are of several sites",
        },
    )
    given = sorted({"times", "columns"} & set(spikes))
    if len(given) != 1:
        problems.append("[spikes] needs one of times and columns")
    if "columns" in spikes and "file" not in content:
        problems.append("spikes.columns is given, and no file, e.g. file = 'spikes.csv'")
    if "columns" in spikes and "site" in spikes:
        problems.append("spikes.site does not go with spikes.columns, which name the sites")
    if _is_several(content):
        problems.append("file names several files: give them as spikes.times, one file a site")
    if "per_second" not in spikes:
        problems.append("no spikes.per_second is given: 1 for times in s, 1000 for ms")
    problems += [
        f"no presentation.{key} is given: {why}"
        for key, why in (("stimulus", "which was shown in each"), ("onset", "when it came on"))
        if key not in presentation
    ]
    if ("window" in content) == ("time_bin" in content):
        problems.append("what is to be counted is window = [70, 170], or the bins of [time_bin]")
    elif "time_bin" in content:
        problems += _check_bins(content["time_bin"])
        if set(content["time_bin"]) == {"start", "width"} and _is_one(content["time_bin"]["start"]):
            problems.append("time_bin.start is one number: give time_bin.number as well")
    if content.get("units") not in ("spikes/s", "spikes"):
        problems.append(f"units are {content.get('units')!r}; of spikes, 'spikes/s' or 'spikes'")
    return problems


def _check_columns(content: Mapping[str, Any]) -> list[str]:
    problems = _refuse(
        content,
        "columns",
        {
            "axes": "its rows and columns are what [columns] says",
            "variable": "a table has columns",
            "presentation": "name the columns",
            "conditions": "columns.stimulus may be a list of columns",
        },
    )
    columns, time_bin = content["columns"], content.get("time_bin", {})
    if "time_bins" in columns:
        problems += _check_bins(time_bin)
        unfit = [key for key in ("time_bin", "sites", "response") if key in columns]
        problems += [f"columns.{key} does not go with columns.time_bins" for key in unfit]
    elif ("time_bin" in columns) != (set(time_bin) == {"width"}):
        problems.append(
            "columns.time_bin, when the bins start, and time_bin.width, both in ms, go together"
        )
    elif time_bin and "time_bin" not in columns:
        problems.append("[time_bin] is given, and no columns.time_bin or columns.time_bins")
    if ("time_bin" in columns or "time_bins" in columns) and "window" in content:
        problems.append("window does not go with time bins")
    wide = "sites" in columns
    needed = ["stimulus"]
    if not wide:
        needed += [] if _is_several(content) else ["site"]
        needed += [] if "time_bins" in columns else ["response"]
    problems += [f"no columns.{key} is given" for key in needed if key not in columns]
    if wide:
        unfit = [key for key in ("site", "response", "area", "animal") if key in columns]
        problems += [f"columns.{key} does not go with columns.sites" for key in unfit]
    return problems


def _is_one(value: Any) -> bool:
    return type(value) in (int, float)


def _check_bins(time_bin: Mapping[str, Any]) -> list[str]:
    problems = []
    if set(time_bin) not in BOUNDS:
        problems.append(
            "[time_bin] needs edges, start and end, or start and width (and number), in ms"
        )
    if _is_one(time_bin.get("start")) and "width" not in time_bin:
        problems.append("time_bin.start is one number: give time_bin.width as well")
    if not _is_one(time_bin.get("start")) and "number" in time_bin:
        problems.append("time_bin.number goes with one time_bin.start, that of the first bin")
    return problems


def _check_axes(content: Mapping[str, Any]) -> list[str]:
    axes, conditions = content["axes"], content.get("conditions", {})
    problems = [f"conditions.{name} is no axis" for name in conditions if name not in axes]
    shown = [axis for axis in axes if axis in ("stimulus", "presentation")]
    if len(shown) != (0 if conditions else 1) or ("site" not in axes and not _is_several(content)):
        instead = " (or the axes of [conditions])"
        problems.append(
            f"axes are {axes}; expected 'site' and one of 'stimulus' and 'presentation'{instead}"
        )
    if "presentation" in axes and "repetition" in axes:
        problems.append("an axis 'presentation' lists all repetitions: leave out 'repetition'")
    presentation, time_bin = content.get("presentation", {}), content.get("time_bin", {})
    if "presentation" in axes and "stimulus" not in presentation:
        problems.append("no presentation.stimulus is given: which stimulus was shown in each")
    if "presentation" not in axes and presentation:
        problems.append("[presentation] is given, and no axis is 'presentation'")
    if "time_bin" in axes:
        problems += _check_bins(time_bin)
    elif time_bin:
        problems.append("[time_bin] is given, and no axis is 'time_bin'; one window is window=")
    if "time_bin" in axes and "window" in content:
        problems.append("window does not go with an axis 'time_bin'")
    stimulus = content.get("stimulus", {})
    if "counts_from" in presentation and not {"names", "prefix"} & set(stimulus):
        problems.append("presentation.counts_from needs stimulus.names, in which to count")
    if _is_several(content) and "stimulus" in axes and not {"names", "prefix"} & set(stimulus):
        problems.append(
            "the stimuli of several files are joined by name: give stimulus.names, such as "
            "{ variable = 'names' } in each file (or stimulus.prefix, if all have one order)"
        )
    return problems
