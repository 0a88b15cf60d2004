"""A run as an event file of TensorBoard: the numbers of every candidate, in their order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from brainguided.journal.attempts import Attempt
from brainguided.reports._rewarded import read_run
from neural_data.storage.aside import write_aside

FILE_NAME = "events.out.tfevents.0.brainguided"
"""Name of the file, as TensorBoard looks for it."""


def write_tensorboard_events(run: str | os.PathLike[str], folder: str | os.PathLike[str]) -> Path:
    """Write a run as an event file, which TensorBoard shows as curves over candidates.

    Needs the extra ``tensorboard``; TensorBoard itself is not needed.

    Parameters
    ----------
    run : path
        A run folder; it is only read. A search that still runs gives what it has.
    folder : path
        Made if it is missing: ``tensorboard --logdir FOLDER``.

    Returns
    -------
    pathlib.Path
        The file written, whole or not at all. Its scalars, with the number of the candidate as
        step and the end of its evaluation as time: ``reward``, ``best reward so far``, ``P``,
        ``TG``, ``similarity/AREA`` of the best layer, ``parameters``, ``seconds``. Failed
        candidates have their seconds alone.

    Raises
    ------
    FileNotFoundError
        The folder has no journal.
    ImportError
        tensorboardX is not installed.
    """
    writer, event, summary = _import_tensorboard()
    known = read_run(Path(run))
    path = Path(folder) / FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    best = None
    with write_aside(path) as aside, closing(writer(str(aside))) as file:
        for number, result in enumerate(known.results):
            timing = known.timings.get((result.candidate, result.attempt))
            moment = 0.0 if timing is None else timing.finished
            if number == 0:
                first = event(wall_time=moment, file_version="brain.Event:2")
                file.write(first.SerializeToString())
            values = dict(_list_values(result, known.seconds.get(result.candidate)))
            if "reward" in values:
                best = values["reward"] if best is None else max(best, values["reward"])
                values["best reward so far"] = best
            if values:
                shown = summary(
                    value=[
                        summary.Value(tag=name, simple_value=value)
                        for name, value in values.items()
                    ]
                )
                one = event(wall_time=moment, step=result.candidate, summary=shown)
                file.write(one.SerializeToString())
    return path


def _list_values(result: Attempt, seconds: float | None) -> Iterator[tuple[str, float]]:
    """Yield what is known of a candidate, by name."""
    known: dict[str, float | None] = {"seconds": seconds}
    if result.outcome == "done":
        known |= {
            "reward": result.reward,
            "P": result.performance,
            "TG": result.guidance,
            "parameters": result.n_parameters,
        }
        for area, layer in result.best_layers.items():
            known[f"similarity/{area}"] = result.similarity[area][layer]
    for name, value in known.items():
        if value is not None:
            yield name, float(value)


def _import_tensorboard() -> tuple[Any, Any, Any]:
    """Return what writes records, and the messages for an event and for its numbers."""
    try:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary
        from tensorboardX.record_writer import RecordWriter
    except ImportError as error:
        raise ImportError(
            "Events of TensorBoard are written by tensorboardX: pip install "
            "'brainguided[tensorboard]'."
        ) from error
    return RecordWriter, Event, Summary
