"""How far seeds agree over the candidates of a search, from its journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from brainguided.guidance.agreement import Agreement, measure_agreement
from brainguided.journal.attempts import Attempt
from brainguided.journal.confirmed import SECOND_SEED
from brainguided.journal.measurement import Measurement
from brainguided.search._halving import Halving


def find_agreement(
    results: Iterable[Attempt], again: Sequence[Attempt], config: Mapping[str, Any]
) -> list[Agreement]:
    """Return how far seeds agree, over candidates that were not chosen by their rewards.

    Of a search with several seeds, over all that were trained to the end, or where it stops
    candidates early those that were whatever their rewards; of one with a single seed over those
    that were evaluated once more to compare.

    Parameters
    ----------
    results : iterable of Attempt
        The final attempt of each candidate.
    again : sequence of Attempt
        The final attempts at evaluations with other seeds.
    config : mapping
        Settings of the search.
    """
    second = {one.candidate: one for one in again if one.again == SECOND_SEED}
    task = config.get("task") or {}
    chooses = task.get("keep") is not None and "merged" not in config
    shown: list[Sequence[Measurement]] = []
    for result in results:
        if result.outcome != "done" or result.duplicate_of is not None:
            continue
        if chooses and not Halving.goes_on(result.candidate):
            continue
        seeds = result.measurement.of_seeds()
        if result.candidate in second and second[result.candidate].outcome == "done":
            seeds = (*seeds, second[result.candidate].measurement)
        if len(seeds) > 1 and seeds[0].rungs:
            shown.append(seeds)
    last = max((seeds[0].steps[-1] for seeds in shown), default=0)
    return measure_agreement([seeds for seeds in shown if seeds[0].steps[-1] == last])
