"""Proposing how a foreign file may be described, from names and shapes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neural_data.errors import RecordingError
from neural_data.formats._described_keys import UNKNOWN
from neural_data.formats._foreign_files import Held, list_arrays, list_beside
from neural_data.formats._proposed_tables import propose_table
from neural_data.formats._proposed_words import HINTS, find_hint, on_one_line, quote, share_start
from neural_data.formats.array_files import ENDINGS, load_array
from neural_data.formats.described_toml import is_table

SHOWN = 40
FEW = 30  # repetitions that are usual
LARGEST = 2**27  # values of an array that is looked into


def propose_description(path: str | os.PathLike[str]) -> str:
    """Propose a description, for `read_described`, of a file of arrays or a table.

    What the axes or columns are is guessed from their names and from lists of the same length, in
    the file and in small files beside it. What cannot be told is "?", which `read_described`
    refuses until it is corrected; everything else is to be checked as well.

    Parameters
    ----------
    path : path
        A ``.npy``, ``.npz``, ``.mat``, ``.h5``, ``.csv``, ``.tsv`` or ``.txt``; or a folder of
        such files, one a session or site.

    Returns
    -------
    str
        TOML with comments on what the file holds, to be saved in the folder of the file.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        The file is damaged, of another format, or holds no array of numbers.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file or folder {path}. Check the path.")
    if not (path.is_file() or path.is_dir()):  # to read a named pipe may have no end
        raise RecordingError(f"{path.name} is neither a file nor a folder.")
    several = path.is_dir()
    first, name = _find_first(path) if several else (path, path.name)
    head = [
        f"# Proposed for {on_one_line(path.name)}.",
        f'# Correct it, above all where it says "{UNKNOWN}", save it in the folder of the',
        f"# {'files' if several else 'file'}, and give it to 'brainguided import described'.",
    ]
    body = propose_table(first, name) if is_table(first) else _propose_arrays(first, name, several)
    return "\n".join([*head, *body]) + "\n"


def _find_first(folder: Path) -> tuple[Path, str]:
    """Find the first of the files of a folder that are of one ending, and a pattern for them."""
    named = (file for file in folder.iterdir() if file.suffix.lower() in ENDINGS)
    files = sorted(file for file in named if file.is_file())
    if not files:
        raise RecordingError(f"{folder.name} is a folder without arrays or tables.")
    endings = [file.suffix for file in files]
    ending = max(sorted(set(endings)), key=endings.count)
    alike = [file for file in files if file.suffix == ending]
    start = share_start([file.stem for file in alike]) if len(alike) > 1 else ""
    return alike[0], f"{start}*{ending}"


def _propose_arrays(path: Path, name: str, several: bool) -> list[str]:
    held = list_arrays(path)
    lines = ["#", f"# What {on_one_line(path.name)} holds:"]
    for one in held:
        named = on_one_line(one.name) or "one array"
        lines.append(f"#   {named:32} {one.kind:8} {_say(one.shape)}")
    if len(lines) > SHOWN:
        lines = [*lines[:SHOWN], f"#   and {len(lines) - SHOWN} more"]
    arrays = [one for one in held if _is_numbers(one) and sum(n > 1 for n in one.shape) >= 2]
    if not arrays:
        return lines + _propose_spikes(path, name, held)
    largest = max(arrays, key=lambda one: (int(np.prod(one.shape)), one.name))
    if largest.kind == "uint8" and len(largest.shape) > 2:
        lines.append("# If these are images: 'brainguided import images --axes ...'.")
    origin = [f"file = {quote(name)}"]
    if largest.name:
        others = [one.name for one in arrays if one is not largest]
        origin.append(f"variable = {quote(largest.name)}" + _or(others))
    lists = [one for one in held if one.length]
    if not several:
        fitting = {n + k for n in largest.shape for k in (0, 1)}
        beside = [one for one in list_beside(path) if one.length in fitting]
        if beside:
            lines.append("# Lists in other files of its folder:")
        for one in beside[:SHOWN]:
            named = on_one_line(f"{one.file.name} {one.name}")
            lines.append(f"#   {named} ({one.length} values)")
        lists += beside
    return lines + origin + _propose_axes(largest, lists, path)


def _propose_axes(array: Held, lists: Sequence[Held], path: Path) -> list[str]:
    """Propose what each axis is, and the lists along it."""
    found: list[tuple[str, Held | None]] = []
    for n in array.shape:
        fitting = [one for one in lists if one.length == n + _has_edges(one)]
        hinted = [(hint, one) for one in fitting if (hint := _find_kind(one)) in HINTS]
        clear = len({hint for hint, _ in hinted}) == 1 and array.shape.count(n) == 1
        found.append(hinted[0] if clear else (UNKNOWN, None))
    kinds = [kind if [k for k, _ in found].count(kind) == 1 else UNKNOWN for kind, _ in found]
    kinds = _guess_repetitions(_find_padding(kinds, array), array.shape)
    by_kind = dict(zip(kinds, (one for _, one in found), strict=True))
    axes = ", ".join(quote(kind) for kind in kinds)
    lines = [f"axes = [{axes}]  # in the order {_say(array.shape)}: {', '.join(HINTS)}, repetition"]
    lines += _state_origin()
    for key in ("stimulus", "presentation", "site", "time_bin"):
        lines += _propose_part(key, by_kind, lists, array, path)
    return lines


def _has_edges(one: Held) -> bool:
    """Whether a list is of edges, one more than bins."""
    return "edge" in one.name.lower()


def _state_origin() -> list[str]:
    return [
        f'units = "{UNKNOWN}"  # such as "spikes/s"',
        f'source = "{UNKNOWN}"  # lab, animal, paper',
        "# missing = -1  # a number that stands for no response; NaN does anyway",
    ]


def _find_kind(one: Held) -> str | None:
    """Find what a list is of by its name; of stimuli with repeats, it is of presentations."""
    hint = find_hint(one.name or one.file.stem)
    if hint != "stimulus":
        return hint
    values = one.load()
    return "presentation" if len(np.unique(values)) < values.size else "stimulus"


def _find_padding(kinds: list[str], array: Held) -> list[str]:
    """Take an axis for repetitions if ever more values are NaN along it, as padding is."""
    if not array.kind.startswith(("float", "double", "single")) or np.prod(array.shape) > LARGEST:
        return kinds
    missing = np.isnan(load_array(array.file, variable=array.name or None))
    padded = []
    for axis in range(missing.ndim):
        share = missing.mean(tuple(k for k in range(missing.ndim) if k != axis))
        if kinds[axis] == UNKNOWN and share[0] < share[-1] and (np.diff(share) >= 0).all():
            padded.append(axis)
    if len(padded) == 1 and "repetition" not in kinds:
        kinds[padded[0]] = "repetition"
    return kinds


def _guess_repetitions(kinds: list[str], shape: tuple[int, ...]) -> list[str]:
    """Take the only axis left for repetitions, if it is the shortest and the others are known."""
    unknown = [k for k, kind in enumerate(kinds) if kind == UNKNOWN]
    known = {"site"} <= set(kinds) and {"stimulus"} <= set(kinds)
    known = known and "repetition" not in kinds
    if len(unknown) == 1 and known and shape[unknown[0]] <= min(FEW, min(shape)):
        kinds[unknown[0]] = "repetition"
    return kinds


def _propose_part(
    key: str, by_kind: dict[str, Held | None], lists: Sequence[Held], array: Held, path: Path
) -> list[str]:
    """Propose the table of one axis."""
    if key not in by_kind and key != "site":
        return []
    one = by_kind.get(key)
    lines = ["", f"[{key}]"]
    if key == "time_bin":
        assert one is not None
        edges = _has_edges(one)
        lines.append(f"{'edges' if edges else 'start'} = {_refer(one, path)}  # in ms?")
        return lines if edges else [*lines, f'width = "{UNKNOWN}"  # ms, a number without quotes']
    if key == "presentation":
        assert one is not None
        return [*lines, f"stimulus = {_refer(one, path)}"]
    others = [o for o in lists if one and o.length == one.length and o.name != one.name]
    if one is not None:
        table = is_table(one.file) and one.file.suffix.lower() != ".txt" and one.file != path
        whole = table and one.name in ("stimulus", "site", "unit", "neuron", "image_id")
        lines.append(f"names = {quote(one.file.name) if whole else _refer(one, path)}")
        lines += [f"# perhaps also: {on_one_line(_refer(other, path))}" for other in others[:5]]
    else:
        lines.append(f"# names = ...  # without them, they are numbered: {key}1, {key}2, ...")
    if key == "site":
        area = next((o for o in others if find_hint(o.name) == "area"), None)
        said = _refer(area, path) if area else f'"{UNKNOWN}"'
        lines.append(f"area = {said}  # one text for all sites, or a list")
    return lines


def _propose_spikes(path: Path, name: str, held: Sequence[Held]) -> list[str]:
    """Propose spikes, where a cell array holds lists of numbers."""
    cells = []
    for one in held:
        if one.kind == "cell":
            try:
                parts = one.load_cells()
            except RecordingError:
                continue
            if all(part.dtype.kind in "iuf" and part.size <= max(1, *part.shape) for part in parts):
                cells.append(one)
    if not cells:
        found = ", ".join(f"{one.name} ({_say(one.shape)})" for one in held) or "nothing"
        raise RecordingError(
            f"{path.name} holds no array of numbers with two axes or more, nor a cell array of "
            f"spike times: {found}. RDMs are read by 'brainguided import rdm', one of several by "
            "--variable 'NAME(1).RDM'."
        )
    lists = [one for one in held if one.length]
    shown = next((one for one in lists if find_hint(one.name) == "stimulus"), None)
    onset = next((one for one in lists if find_hint(one.name) == "onset"), None)
    return [
        f"file = {quote(name)}",
        'units = "spikes/s"',
        f'source = "{UNKNOWN}"  # lab, animal, paper',
        f'window = "{UNKNOWN}"  # in ms from onset, such as [70, 170]',
        "",
        "[spikes]",
        f"times = {_refer(cells[0], path)}",
        f'per_second = "{UNKNOWN}"  # of times and onsets: 1 for s, 1000 for ms, 30000 for samples',
        "",
        "[presentation]",
        f"stimulus = {_refer(shown, path) if shown else quote(UNKNOWN)}",
        f"onset = {_refer(onset, path) if onset else quote(UNKNOWN)}",
        "",
        "[site]",
        f'area = "{UNKNOWN}"',
    ]


def _refer(one: Held, path: Path) -> str:
    """Return a reference to a list, as a description has it."""
    parts = [] if one.file == path else [f"file = {quote(one.file.name)}"]
    parts += [f"variable = {quote(one.name)}"] if one.name else []
    return "{ " + ", ".join(parts) + " }"


def _or(names: Sequence[str]) -> str:
    return "  # or " + on_one_line(", ".join(names[:5])) if names else ""


def _say(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _is_numbers(one: Held) -> bool:
    return one.kind.startswith(("int", "uint", "float", "double", "single", "logical", "sparse"))
