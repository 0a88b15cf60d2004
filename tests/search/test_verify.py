"""Candidates trained again: their numbers come out as recorded, and an altered one is named."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from brainguided import RandomSearch, Task, Teacher, Training, images_from_stimuli, run_search
from brainguided.__main__ import main
from brainguided.candidates.evaluation import evaluate
from brainguided.guidance.controls import shuffled_control
from brainguided.guidance.rewards import RobustReward
from brainguided.journal.differing_settings import find_differences
from brainguided.journal.journal import Journal, JournalError
from brainguided.journal.merge import merge_runs
from brainguided.replays.table import table_from_run
from brainguided.search.verify import _list_recorded, verify_search
from brainguided.search.winner import save_winner
from brainguided.settings._warm_start import start_warm
from brainguided.settings.run_file import load_run
from brainguided.settings.toml import RunFileError
from brainguided.spaces import small_space
from neural_data.simulation.objects import simulate_objects
from neural_data.simulation.simulate import simulate_macaque

EARLIER = Path(__file__).parents[1] / "earlier"


@pytest.fixture(scope="module")
def task() -> Task:
    return Task(
        images_from_stimuli(simulate_objects(1, seed=1), simulate_objects(1, seed=2)),
        Teacher.from_recording(*simulate_macaque(seed=0), by="object_name"),
        Training(steps=2, batch_size=16),
    )


class Earlier(Task):
    """A task as versions described it that counted pairs within halves alike."""

    def describe(self):  # type: ignore[no-untyped-def]
        said = super().describe()
        for area in said["teacher"]:
            area.pop("committed", None)
        return said


class Untold(Task):
    """A task as versions described it that recorded held-out targets only where there were some."""

    def describe(self):  # type: ignore[no-untyped-def]
        said = super().describe()
        del said["held_out"]
        return said


def _search(task: Task, out: Path, wrong: float) -> None:
    def altered(architecture, task, *, seed):  # type: ignore[no-untyped-def]
        """Alter the similarity of one layer to V4, and no other number."""
        found = evaluate(architecture, task, seed=seed)
        (rung,) = found.measurement.rungs[-1:]
        table = {area: dict(layers) for area, layers in rung.similarity.items()}
        first = next(iter(table["V4"]))
        table["V4"][first] += wrong
        rungs = (*found.measurement.rungs[:-1], replace(rung, similarity=table))
        return replace(found, measurement=replace(found.measurement, rungs=rungs))

    search = RandomSearch(small_space(3), seed=1)
    run_search(search, task, candidates=3, out=out, evaluate=altered)


@pytest.mark.parametrize("wrong", [0.0, 5e-5])
def test_one_altered_number_is_named_and_the_others_come_out_again(
    task: Task, tmp_path: Path, wrong: float
) -> None:
    _search(task, tmp_path, wrong)
    found = verify_search(tmp_path, task, sample=2)
    assert [one.compared > 10 for one in found] == [True, True]
    differing = [[d.name for d in one.differences] for one in found]
    assert differing == ([[], []] if wrong == 0 else [["V4@layer1@2"]] * 2)
    if wrong:
        (one,) = found[0].differences
        assert one.recorded - one.again == pytest.approx(wrong, rel=1e-3)  # type: ignore[operator]


def test_another_reward_or_number_of_parameters_is_named(task: Task, tmp_path: Path) -> None:
    def altered(architecture, task, *, seed):  # type: ignore[no-untyped-def]
        found = evaluate(architecture, task, seed=seed)
        return replace(found, reward=found.reward + 1, n_parameters=found.n_parameters + 1)

    run_search(
        RandomSearch(small_space(3), seed=1), task, candidates=2, out=tmp_path, evaluate=altered
    )
    (one,) = verify_search(tmp_path, task, sample=1)
    assert {d.name: round(d.recorded - d.again, 6) for d in one.differences} == {  # type: ignore[operator]
        "n_parameters": 1,
        "reward": 1,
    }


@pytest.mark.parametrize(
    ("name", "guidance"), [("run", {"TG@2"}), ("paper/run", {"TG@0", "TG@2", "TG@4"})]
)
def test_an_intact_run_of_an_earlier_format_comes_out_again(
    name: str, guidance: set[str], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(EARLIER, tmp_path / "earlier"))
    file = folder / ("run.toml" if name == "run" else "paper/reinforce.toml")
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("[task]\n", '[task]\nbatch_norm = "running"\n'), encoding="utf-8")
    task = load_run(file).task
    (one,) = verify_search(folder / name, task, sample=1, tolerance=1e-3)
    assert one.differences == ()
    with Journal.read(folder / name) as journal:
        recorded = _list_recorded(journal.results()[0], task.reward, True)
    assert guidance | {"reward", "n_parameters"} <= recorded.keys()
    assert one.compared >= len(guidance) + 4


def test_another_task_and_no_sample_are_refused(task: Task, tmp_path: Path) -> None:
    _search(task, tmp_path, 0.0)
    with pytest.raises(JournalError, match="steps"):
        verify_search(tmp_path, replace(task, training=Training(steps=3, batch_size=16)))
    with pytest.raises(ValueError, match="sample is 0"):
        verify_search(tmp_path, task, sample=0)


def test_the_command_says_what_it_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "RUN.toml").write_text(
        'candidates = 2\n[space]\npreset = "small"\nmax_depth = 2\n[controller]\nname = "random"\n'
        "[task]\nn_train = 64\nn_validation = 64\nsteps = 1\nbatch_size = 16\n",
        encoding="utf-8",
    )
    out = tmp_path / "run"
    call = ["search", str(tmp_path / "RUN.toml"), "--out", str(out), "--workers", "1"]
    assert main(call) == 0
    capsys.readouterr()
    assert main(["verify", str(out), "--sample", "1"]) == 0
    assert "came out again" in capsys.readouterr().out


@pytest.mark.slow
def test_a_robust_reward_is_verified_by_the_values_in_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = Teacher.from_recording(*simulate_macaque(seed=0), by="object_name")
    teacher = Teacher(teacher.targets[:1])
    task = Task(
        images_from_stimuli(simulate_objects(1, seed=1), simulate_objects(1, seed=2)),
        teacher,
        Training(steps=0, batch_size=16),
        reward=RobustReward(),
        controls=[shuffled_control(teacher, teacher.areas[0])],
    )
    run_search(RandomSearch(small_space(3), seed=1), task, candidates=25, out=tmp_path)
    (one,) = verify_search(tmp_path, task, sample=1)
    assert one.differences == ()
    thaw = RobustReward.thaw
    wrong = {"performance": [0.0, 1.0, 1.0]}
    monkeypatch.setattr(RobustReward, "thaw", lambda reward, terms: thaw(reward, wrong))
    (one,) = verify_search(tmp_path, task, sample=1)
    assert [difference.name for difference in one.differences] == ["reward"]


def test_a_run_that_counted_pairs_alike_is_read_but_not_gone_on_with_or_compared(
    task: Task, tmp_path: Path
) -> None:
    _search(Earlier(task.images, task.teacher, task.training), tmp_path / "a", 0.0)
    said = r"committed: nothing in the journal, .*counted all pairs .* alike.* in a new folder"
    with pytest.raises(JournalError, match=said):
        run_search(RandomSearch(small_space(3), seed=1), task, candidates=4, out=tmp_path / "a")
    with pytest.raises(JournalError, match=said):
        verify_search(tmp_path / "a", task)
    with pytest.raises(RunFileError, match=r"committed: nothing in a, .*in a new folder"):
        start_warm(RandomSearch(small_space(3), seed=2), tmp_path / "a", task)
    run_search(RandomSearch(small_space(3), seed=5), task, candidates=1, out=tmp_path / "b")
    with pytest.raises(JournalError, match=rf"committed: nothing in {tmp_path / 'a'}.*new folder"):
        merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    assert save_winner(tmp_path / "a", task)  # trained again, and compared with nothing
    assert main(["report", str(tmp_path / "a")]) == 0
    assert table_from_run(tmp_path / "a", small_space(3)).reward.size == 3


def test_what_was_held_out_may_be_missing_from_the_record_but_not_differ(
    task: Task, tmp_path: Path
) -> None:
    _search(Untold(task.images, task.teacher, task.training), tmp_path / "a", 0.0)
    weights = tmp_path / "weights"
    told = replace(task, held_out=[{"area": "IT:heldout", "rdm_sha256": "00"}], weights=weights)
    assert [one.differences for one in verify_search(tmp_path / "a", told, sample=1)] == [()]
    assert not weights.exists()  # nothing is kept, or written over, of what is only compared
    save_winner(tmp_path / "a", told)
    assert not weights.exists()  # nor of a winner that is trained again
    run_search(RandomSearch(small_space(3), seed=1), told, candidates=4, out=tmp_path / "a")
    assert (tmp_path / "a" / "winner.json").exists()
    _search(told, tmp_path / "b", 0.0)
    _search(task, tmp_path / "c", 0.0)
    with pytest.raises(JournalError, match=r"held_out: \[\] in the journal, nothing now"):
        verify_search(tmp_path / "c", told, sample=1)  # chosen after the search
    for pair in (("c", "b"), ("b", "c")):
        with pytest.raises(JournalError, match=r"another task:.*\n.*held_out"):
            merge_runs([tmp_path / name for name in pair], tmp_path / "all")
    now, before = task.describe(), Untold(task.images, task.teacher, task.training).describe()
    for first, second in ((told.describe(), before), (before, told.describe()), (before, now)):
        assert find_differences(first, second, ("then", "now")) == []
    other = replace(task, held_out=[{"area": "V4:heldout", "rdm_sha256": "00"}])
    for differs in (other, task):
        with pytest.raises(JournalError, match=r'held_out\.0\.area: "IT:heldout" in the journal'):
            verify_search(tmp_path / "b", differs, sample=1)
