"""Teachers, tasks, runs and journals show what they hold, and nothing else happens."""

from __future__ import annotations

import numpy as np
from fake_task import run_eight

from brainguided import Journal, Task, Teacher, Training, images_from_stimuli
from brainguided.settings.run_file import load_run, write_demo
from neural_data import simulate_macaque
from neural_data.simulation.objects import simulate_objects

HOSTILE = "<script>alert(1)</script>\x1b[2J"


def test_a_teacher_says_its_areas_sites_and_stimuli():
    recording, stimuli = simulate_macaque(repetitions=3, n_v4=5, n_it=4, seed=0)
    teacher = Teacher.from_recording(recording, stimuli, by="object_name").rename({"IT": HOSTILE})
    said = repr(teacher)
    assert said.startswith("Teacher(")
    assert "5 sites" in said
    assert "simulated" in said
    assert "64 conditions by object_name" in said
    assert "3 repetitions" in said
    assert "\x1b" not in said
    assert "\n" not in said
    assert "<script>" not in teacher._repr_html_()
    assert "&lt;script&gt;" in teacher._repr_html_()
    assert "RDM alone" in repr(teacher.without_recordings())
    for value, there in ((0.5, True), (float("nan"), False)):  # pytest makes warnings errors
        given = recording.assign_coords(reliability=("site", [value] * recording.sizes["site"]))
        known = repr(Teacher.from_recording(given, stimuli, by="object_name"))
        assert ("reliability 0.50 (median of sites" in known, "nan" in known) == (there, False)
    images = images_from_stimuli(simulate_objects(1, seed=1), simulate_objects(1, seed=2))
    task = Task(images, teacher, Training(steps=3, batch_size=8))
    assert "64 to train, 64 to validate, 8 classes, 32 px" in repr(task)
    assert "3 steps of 8 images" in task._repr_html_()
    assert "<script>" not in task._repr_html_()


def test_a_run_says_what_it_will_search(tmp_path):
    run = load_run(write_demo(tmp_path / "RUN.toml", candidates=5))
    assert "candidates: 5; controller: PredictorSearch of small-10, seed 0" in repr(run)
    assert "<td" in run._repr_html_()


def test_a_journal_says_how_many_ended_and_the_best(tmp_path):
    found = run_eight(tmp_path / "run")
    best = int(np.argmax(found["best_so_far"].values))
    with Journal.read(tmp_path / "run") as journal:
        said = repr(journal)
        assert f"best: candidate {best}, reward {float(found['reward'][best]):.4f}" in said
        assert "8 asked for" in said
        number = int((found["outcome"] == "failed").sum())
        assert f"{8 - number} done" in said
        assert "<table>" in journal._repr_html_()
    assert "not read" in repr(journal)
