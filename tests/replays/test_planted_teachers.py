"""Teachers that are nothing but a control: validity names it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from brainguided import Task, Teacher, Training, images_from_stimuli
from brainguided.architectures import Architecture
from brainguided.candidates.evaluation import evaluate
from brainguided.candidates.rivals import FREE
from brainguided.guidance.controls import make_controls
from brainguided.guidance.target import Target
from brainguided.replays._out_of_fold import find_neighbours
from brainguided.replays.pools import Pool
from brainguided.replays.validity import compute_validity
from brainguided.replays.validity_sentences import describe_validity
from brainguided.spaces import small_space
from neural_data.simulation.objects import simulate_objects
from neural_data.simulation.simulate import simulate_macaque

KINDS = ("categories", "blocks", "pixels")


@cache
def _real() -> tuple[Teacher, tuple[Target, ...]]:
    whole = Teacher.from_recording(*simulate_macaque(seed=0), by="object_name")
    teacher = Teacher(tuple(target for target in whole.targets if target.area == "IT"))
    found = make_controls(teacher, [{"kind": kind} for kind in KINDS])
    return teacher, tuple(one for one in found if isinstance(one, Target))


def _measure(teacher: Teacher) -> Pool:
    """Measure a dozen networks after one step; how they do in the end is made up."""
    task = Task(
        images_from_stimuli(simulate_objects(1, seed=1), simulate_objects(1, seed=2)),
        teacher,
        Training(steps=1, batch_size=16),
        controls=_real()[1],
    )
    space, generator = small_space(6), np.random.default_rng(0)
    drawn: list[Architecture] = []
    while len(drawn) < 12:
        one = space.sample(generator)
        if one.canonical_key not in {other.canonical_key for other in drawn}:
            drawn.append(one)
    found = [evaluate(one, task, seed=k).measurement for k, one in enumerate(drawn)]
    columns = {name: np.array([m.statistics[name] for m in found], dtype=float) for name in FREE}
    counts = np.column_stack(list(columns.values()))
    near = find_neighbours([space.encode(one) for one in drawn], counts)
    return Pool(tuple(range(12)), tuple(found), generator.normal(size=12), columns, near)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS, "real"])
def test_the_control_of_which_the_teacher_is_made_is_named(kind: str) -> None:
    teacher, controls = _real()
    if kind != "real":
        (source,) = (one for one in controls if one.area == f"IT:{kind}")
        teacher = Teacher((replace(source, area="IT"),))
    found = compute_validity(_measure(teacher), draws=10)
    alike = found["resemblance"].sel(area="IT")
    text = "\n".join(describe_validity(found))
    if kind == "real":
        assert "IT resembles none of its controls" in text
        assert float(alike.max()) < 0.95
    else:
        assert f"IT cannot be told from IT:{kind}" in text
        assert float(alike.sel(control=f"IT:{kind}")) == pytest.approx(1, abs=1e-6)
