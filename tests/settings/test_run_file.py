"""Run files: what is understood, and that everything else is refused at once."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from fake_task import succeed

from brainguided import JournalError, Measurement, PaperReward, WeightedReward, evaluate
from brainguided.controllers import Limits, PredictorSearch, RandomSearch
from brainguided.guidance.rewards import RobustReward
from brainguided.journal import Rung
from brainguided.search.orders import Batch, Completion, Index, Schedule
from brainguided.search.run import run_search
from brainguided.settings.keys import list_keys
from brainguided.settings.presets import CONTROLLERS, SPACES
from brainguided.settings.run_file import RunFileError, load_run, write_demo
from brainguided.spaces import pnas_space, small_space
from neural_data.errors import AlignmentError, RecordingError
from neural_data.model.dissimilarities import save_dissimilarities
from neural_data.model.recording import recording_from_arrays, save_recording
from neural_data.model.stimuli import save_stimuli, stimuli_from_arrays

SMALL = "candidates = 4\n[task]\nn_train = 64\nn_validation = 64\nsteps = 2\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a recording of two areas, dissimilarities of one, and their images."""
    rng = np.random.default_rng(0)
    names = [f"im{k}" for k in range(6)]
    recording = recording_from_arrays(
        rng.normal(size=(6, 8)),
        stimulus=names,
        site=[f"s{k}" for k in range(8)],
        area=["V4"] * 4 + ["PIT"] * 4,
        units="spikes/s",
        source="a lab",
    )
    images = rng.integers(0, 255, size=(6, 32, 32, 3), dtype=np.uint8)
    kinds = ["face", "face", "car", "car", "dog", "dog"]
    stimuli = stimuli_from_arrays(images, stimulus=names, source="a lab", object_name=kinds)
    matrix = 1 - np.corrcoef(rng.normal(size=(6, 9)))
    np.fill_diagonal(matrix, 0)
    matrix = (matrix + matrix.T) / 2
    dissimilarities = xr.Dataset(
        {
            "dissimilarity": (
                ("area", "stimulus", "other_stimulus"),
                np.stack([matrix, matrix**2]),
                {"units": "1 - Pearson r"},
            )
        },
        coords={"area": ["IT", "other"], "stimulus": names, "other_stimulus": names},
        attrs={"source": "another lab"},
    )
    save_recording(recording, tmp_path / "v4.nc")
    save_stimuli(stimuli, tmp_path / "images.nc")
    save_stimuli(stimuli.isel(stimulus=slice(4)), tmp_path / "few.nc")
    save_dissimilarities(dissimilarities, tmp_path / "it.nc")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "RUN.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_are_the_small_space_and_a_predictor_without_a_teacher(tmp_path: Path) -> None:
    run = load_run(write(tmp_path, SMALL))
    assert isinstance(run.controller, PredictorSearch)
    assert run.controller.space.name == "small-10"
    assert (run.controller.seed, run.candidates, run.schedule) == (0, 4, Schedule(Batch(8)))
    assert run.task.teacher is None
    assert run.task.training.steps == 2
    assert len(run.task.images.classes) == 8


def test_settings_reach_what_they_are_of(tmp_path: Path) -> None:
    text = (
        "seed = 3\nround_size = 2\n" + SMALL + "alpha = 2\ncheckpoints = [1]\naugment = false\n"
        'device = "cuda:1"\n'
        '[space]\npreset = "zoph2017"\nmax_depth = 3\nskips = true\nstrides = [1, 2]\n'
        '[controller]\nname = "reinforce"\nlearning_rate = 1\nhidden = 8\n'
    )
    run = load_run(write(tmp_path, text))
    assert (run.controller.seed, run.schedule) == (3, Schedule(Batch(2)))
    assert (
        run.controller.space.max_depth,
        run.controller.space.skips,
        run.controller.space.strides,
    ) == (3, True, (1, 2))
    assert run.controller.describe()["learning_rate"] == 1
    assert run.task.reward == PaperReward(2.0)
    assert run.task.training.rungs == (1,)
    assert run.task.training.measured_at == (1, 2)
    assert not run.task.training.augment
    assert run.task.training.device == "cuda:1"


def test_rungs_without_steps_end_with_the_last(tmp_path: Path) -> None:
    text = SMALL.replace("steps = 2\n", "rungs = [0, 3]\n")
    training = load_run(write(tmp_path, text)).task.training
    assert (training.steps, training.measured_at) == (3, (0, 3))
    assert training.sgd.schedule == "cosine"


def test_candidates_that_may_be_stopped_learn_at_a_constant_rate(tmp_path: Path) -> None:
    task = load_run(write(tmp_path, SMALL + "rungs = [1]\nkeep = 0.5\n")).task
    assert (task.keep, task.training.sgd.schedule) == (0.5, "constant")
    assert task.describe()["keep"] == 0.5
    text = SMALL + 'rungs = [1]\nkeep = 0.5\nschedule = "cosine"\n'
    assert load_run(write(tmp_path, text)).task.training.sgd.schedule == "cosine"


def test_a_reward_is_a_preset_or_a_function_of_the_users_own(tmp_path: Path) -> None:
    table = '[reward]\npreset = "weighted"\nterms = {performance = 1, "V4@2" = 0.5}\n'
    table += '[[teacher]]\nsimulated = true\nareas = ["V4"]\nby = "object_name"\n'
    found = load_run(write(tmp_path, SMALL + table)).task
    assert found.reward == WeightedReward({"performance": 1, "V4@2": 0.5})
    assert found.describe()["reward"]["terms"] == {"performance": 1.0, "V4@2": 0.5}
    mine = tmp_path / "mine.py"
    mine.write_text("def score(measurement):\n    return 2 * measurement.rung().performance\n")
    table = '[reward]\nfunction = "mine.py:score"\n'
    task = load_run(write(tmp_path, SMALL + table)).task
    assert pickle.loads(pickle.dumps(task.reward))(Measurement((), (Rung(2, 0.25),))) == 0.5
    described = task.describe()["reward"]
    assert described["function"] == "mine.py:score"
    mine.write_text(mine.read_text().replace("2 *", "3 *"))
    assert load_run(write(tmp_path, SMALL + table)).task.describe()["reward"] != described
    mine.write_text("def other(measurement): ...\n")
    with pytest.raises(RunFileError, match=r"mine.py has no function 'score'"):
        load_run(write(tmp_path, SMALL + table))
    mine.write_text("1 / 0\n")
    with pytest.raises(RunFileError, match=r"\[reward\] function: ZeroDivisionError"):
        load_run(write(tmp_path, SMALL + table))


def test_controls_and_rivals_are_measured_beside_the_areas(tmp_path: Path) -> None:
    text = SMALL.replace(
        "steps = 2\n",
        'steps = 2\nbatch_size = 32\nrungs = [0]\nrivals = ["synflow"]\n'
        'layers = ["layer1"]\nweights = "kept"\n',
    ) + (
        '[[teacher]]\nsimulated = true\nareas = ["IT"]\nby = "object_name"\n'
        '[[control]]\nkind = "pixels"\n[[control]]\nkind = "shuffled"\nnumber = 3\n'
    )
    task = load_run(write(tmp_path, text)).task
    assert [entry["name"] for entry in task.describe()["controls"]] == ["IT:pixels", "IT"]
    assert task.describe()["rivals"] == ["synflow"]
    measured = evaluate(small_space(2).sample(0), task, seed=0).measurement
    assert measured.steps == (0, 2)
    assert measured.targets == ("IT", "IT:pixels")
    assert measured.areas == ("IT",)
    assert set(measured.similarity["IT"]) == {"layer1"}
    assert len(list((tmp_path / "kept").iterdir())) == 2
    assert {"parameters", "depth", "synflow"} <= set(measured.statistics)
    assert len(measured.rung(0).shuffles["IT"]["committed"]) == 3
    assert measured.rung().committed.keys() == {"IT", "IT:pixels"}


def test_the_robust_reward_brings_the_shuffles_it_needs(tmp_path: Path) -> None:
    text = SMALL + (
        '[[teacher]]\nsimulated = true\nareas = ["IT"]\nby = "object_name"\n'
        '[reward]\npreset = "robust"\nweights = {"IT@2" = 1.0}\n'
    )
    task = load_run(write(tmp_path, text)).task
    assert task.reward == RobustReward({"IT@2": 1.0})
    assert [entry["shuffles"] for entry in task.describe()["controls"]] == [20]
    (tmp_path / "weights.toml").write_text('[weights]\n"IT@2" = 0.5\n')
    text = text.replace('{"IT@2" = 1.0}', '"weights.toml"')
    assert load_run(write(tmp_path, text)).task.reward == RobustReward({"IT@2": 0.5})
    with pytest.raises(RunFileError, match="no file of weights"):
        load_run(write(tmp_path, text.replace("weights.toml", "none.toml")))


GUIDED = (
    SMALL + "rungs = [0, 1]\n"
    '[[teacher]]\nsimulated = true\nareas = ["V4", "IT"]\nby = "object_name"\n'
)  # measured after 0, 1 and 2 steps


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ('[reward]\npreset = "paper"\nrung = 3\n', r"at step 3, only at \[0, 1, 2\]"),
        (
            '[reward]\npreset = "weighted"\nterms = {log_parametrs = -1, V1 = 1, "V4@3" = 1}\n',
            r"no 'log_parametrs'.*there are .*parameters.*no 'V1'.*no 'V4@3'",
        ),
        (
            '[reward]\npreset = "robust"\nweights = {"V4@3" = 1.0}\n',
            r"weights name \['V4@3'\]; there are \['V4@0'",
        ),
        (
            '[reward]\npreset = "robust"\n[[control]]\nkind = "shuffled"\nnumber = 5\n',
            "5 shuffles of V4 were measured; .* at least 20",
        ),
        (
            '[reward]\npreset = "robust"\n'
            '[[control]]\nkind = "shuffled"\nnumber = 20\narea = "V4"\n',
            "0 shuffles of IT were measured; .* at least 20",
        ),
    ],
)
def test_a_reward_of_what_will_not_be_measured_is_refused_at_once(tmp_path, tables, said) -> None:
    with pytest.raises(ValueError, match="(?s)asks for what will not be measured.*" + said):
        load_run(write(tmp_path, GUIDED + tables))


def test_a_reward_may_name_layers_rungs_controls_and_rivals(tmp_path: Path) -> None:
    terms = (
        '[reward]\npreset = "weighted"\nterms = {"V4@layer7@1" = 1, "committed IT@0" = 1, '
        '"IT:pixels" = -1, log_synflow = 1, "loss_sum@1" = 1, "TG@0" = 1}\n'
        '[[control]]\nkind = "pixels"\n'
    )
    text = (GUIDED + terms).replace("rungs", 'rivals = ["synflow"]\nrungs')
    assert "log_synflow" in load_run(write(tmp_path, text)).task.reward.terms


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("m.value('V4@3')", "no 'V4@3'"),
        ("m.rung(7).performance", "at step 7"),
        ("m.vale('V4')", "AttributeError: 'Measurement' object has no attribute 'vale'"),
        ("performance", "NameError: name 'performance' is not defined"),
        ("None", "score of mine.py returned NoneType; expected a number"),
        ("m.value('V4@layer9') + m.similarity['V4']['layer9']", None),
        ("1 / (m.value('V4') - m.value('IT'))", None),  # of the numbers, not of their names
    ],
)
def test_a_function_is_refused_for_names_and_never_for_numbers(tmp_path, body, said) -> None:
    (tmp_path / "mine.py").write_text(f"def score(m):\n    return {body}\n")
    path = write(tmp_path, GUIDED + '[reward]\nfunction = "mine.py:score"\n')
    if said is None:
        assert load_run(path).task.reward.name == "score"
    else:
        with pytest.raises(ValueError, match=said):
            load_run(path)


def test_where_candidates_are_stopped_early_the_reward_is_asked_for_at_every_rung(tmp_path) -> None:
    terms = '[reward]\npreset = "weighted"\nterms = {loss_sum = -1}\n'
    load_run(write(tmp_path, GUIDED + terms))
    with pytest.raises(ValueError, match="at step 0: loss_sum of the candidate is undefined"):
        load_run(write(tmp_path, GUIDED.replace("rungs", "keep = 0.5\nrungs") + terms))


def test_a_search_is_not_resumed_with_another_function(tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("def score(measurement):\n    return 1.0\n")
    path = write(tmp_path, SMALL + '[reward]\nfunction = "mine.py:score"\n')

    def search():
        run = load_run(path)
        run_search(run.controller, run.task, candidates=2, out=tmp_path / "out", evaluate=earn)

    search()
    mine.write_text(mine.read_text() + "\n")
    with pytest.raises(JournalError, match=r"task\.reward\.sha256"):
        search()


def test_images_are_decoded_into_a_file_beside_the_run_file(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", x_train=images, y_train=np.arange(40) % 2)
    text = 'candidates = 4\n[task]\nsteps = 2\nbatch_size = 8\nimages = "images.npz"\n'
    held = load_run(write(tmp_path, text)).task
    read = load_run(write(tmp_path, text + 'decoded = "decoded.npy"\n')).task
    assert read.images.held_bytes == 0
    assert (tmp_path / "decoded.npy").is_file()
    assert read.describe() == held.describe()


def test_what_long_trainings_add_is_no_part_of_the_task(tmp_path: Path) -> None:
    run = load_run(write(tmp_path, SMALL + "[finalists]\nlabel_smoothing = 0.1\nwarm_up = 5\n"))
    assert run.recipe.describe() == {"label_smoothing": 0.1, "warm_up": 5}
    assert run.task.describe() == load_run(write(tmp_path, SMALL)).task.describe()


def test_random_search_can_be_chosen(tmp_path: Path) -> None:
    run = load_run(write(tmp_path, SMALL + '[controller]\nname = "random"\n'))
    assert isinstance(run.controller, RandomSearch)


def test_the_seed_changes_the_search_and_not_the_task(tmp_path: Path) -> None:
    first = load_run(write(tmp_path, "seed = 1\n" + SMALL))
    second = load_run(write(tmp_path, "seed = 2\n" + SMALL))
    assert first.task.describe() == second.task.describe()
    assert first.controller.ask(8) != second.controller.ask(8)


def test_validation_images_are_not_trained_on(tmp_path: Path) -> None:
    images = load_run(write(tmp_path, SMALL)).task.images
    train = {image.tobytes() for image in images.train_images}
    assert not [image for image in images.validation_images if image.tobytes() in train]


def test_teachers_of_several_files_are_put_side_by_side(folder: Path) -> None:
    text = SMALL + (
        '[[teacher]]\nrecording = "v4.nc"\nstimuli = "images.nc"\nareas = ["V4"]\n'
        '[[teacher]]\nrdm = "it.nc"\nstimuli = "images.nc"\nareas = ["IT"]\n'
    )
    teacher = load_run(write(folder, text)).task.teacher
    assert teacher is not None
    assert teacher.areas == ("V4", "IT")
    assert [target.source for target in teacher] == ["a lab", "another lab"]


def test_all_areas_are_the_default_and_objects_can_be_the_conditions(folder: Path) -> None:
    text = SMALL + ('[[teacher]]\nrecording = "v4.nc"\nstimuli = "images.nc"\nby = "object_name"\n')
    teacher = load_run(write(folder, text)).task.teacher
    assert teacher is not None
    assert teacher.areas == ("V4", "PIT")
    assert teacher.targets[0].conditions == ["face", "car", "dog"]


def test_a_simulated_teacher_says_that_it_is_simulated(tmp_path: Path) -> None:
    text = SMALL + '[[teacher]]\nsimulated = true\nareas = ["IT"]\nby = "object_name"\n'
    teacher = load_run(write(tmp_path, text)).task.teacher
    assert teacher is not None
    assert teacher.areas == ("IT",)
    assert "simulated" in teacher.targets[0].source


def test_every_problem_is_listed_at_once(tmp_path: Path) -> None:
    text = """
seed = "x"
rounds = 3
round_size = 0
[space]
preset = "smal"
[controller]
name = "reinforce"
learnin_rate = 3
[task]
stpes = 4
steps = 200.5
augment = 1
n_train = 100
[[teacher]]
recording = "v4.nc"
[[teacher]]
rdm = "it.nc"
simulated = false
[teachers]
"""
    with pytest.raises(RunFileError) as caught:
        load_run(write(tmp_path, text))
    message = str(caught.value)
    for part in (
        "RUN.toml cannot be used",
        "'rounds' is unknown; did you mean 'round_size'? Known: seed, candidates, order",
        "seed is 'x', expected a whole number",
        "candidates is missing",
        "order: round_size is 0; expected a whole number, at least 1",
        "[space] preset 'smal' is unknown; did you mean 'small'?",
        "[controller] 'learnin_rate' is unknown; did you mean 'learning_rate'?",
        "[task] 'stpes' is unknown; did you mean 'steps'?",
        "[task] steps is 200.5, expected a whole number",
        '[task] augment is 1, expected true, false or "shift"',
        "[task] n_train is 100; of the built-in objects, a multiple of 64",
        "[[teacher]] 1: stimuli is missing",
        "v4.nc does not exist",
        "[[teacher]] 2: has rdm and simulated; expected one of",
        "[[teacher]] 2: simulated is false",
        "'teachers' is unknown; did you mean '[[teacher]]'?",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SMALL + "learning_rate = -1\n", r"\[task\] .*learning_rate is -1"),
        (SMALL + 'device = "gpu"\n', r"\[task\] .*device is 'gpu'; expected 'cpu', 'cuda'"),
        (SMALL + "alpha = nan\n", r"\[task\] alpha is nan, expected a finite number"),
        (
            SMALL + "alpha = 1\n[reward]\npreset = 'paper'\n",
            "alpha and .reward. say the same; keep",
        ),
        (SMALL + "rungs = [1]\ncheckpoints = [1]\n", "checkpoints and rungs say the same; keep"),
        (SMALL + "rungs = [1, 0]\n", r"\[task\] rungs are \(1, 0\); expected an ascending"),
        (SMALL + "batch_norm = 'none'\n", "batch_norm is 'none'; expected one of"),
        (SMALL + "[reward]\npreset = 'papr'\n", "'papr' is unknown; did you mean 'paper'"),
        (SMALL + "[reward]\nalpha = 1\n", "has neither a preset nor a function"),
        (SMALL + "[reward]\npreset = 'paper'\nterms = {}\n", "'terms' is unknown"),
        (SMALL + "[reward]\npreset = 'weighted'\n", "terms"),
        (SMALL + "[reward]\npreset = 'weighted'\nterms = {P = 'a'}\n", "table of finite numbers"),
        (SMALL + "[reward]\nfunction = 'score'\n", "expected a file and a function in it"),
        (SMALL + "[reward]\nfunction = 'no.py:score'\n", "no.py does not exist"),
        (SMALL + "keep = 0.5\n", r"\[task\] rungs are \[2\]; expected at least one before"),
        (SMALL + "rungs = [1]\nkeep = 2.0\n", r"\[task\] keep is 2.0; expected a share between"),
        (SMALL + "rivals = ['depth']\n", "'depth' is free and always measured"),
        (SMALL + "[[control]]\narea = 'V4'\n", r"\[\[control\]\] 1: kind is missing"),
        (SMALL + "[[control]]\nkind = 'pixel'\n", "'pixel' is unknown; did you mean 'pixels'"),
        (SMALL + "[[control]]\nkind = 'pixels'\nseed = 1\n", "'seed' is unknown"),
        (SMALL + "[[control]]\nkind = 'animal'\n", "1: animal is missing"),
        (SMALL + "[[control]]\nkind = 'pixels'\n", r"needs a \[\[teacher\]\]"),
        (SMALL + "[space]\nmax_depth = 0\n", r"\[space\] .*max_depth"),
        (SMALL + "[space]\nskips = true\n", r"\[space\] 'skips' is unknown"),
        (SMALL + "[controller]\nhidden = 0\n", r"\[controller\] .*hidden"),
        (SMALL + '[controller]\nname = "random"\nhidden = 3\n', "'hidden' is unknown"),
        (SMALL + 'images = "nope.npz"\n', "nope.npz does not exist"),
        (SMALL + 'images = "."\ndecoded = "a"\n', "decoded is 'a', expected the name of a file"),
        (SMALL + "[finalists]\naverage = 1\n", r"\[finalists\] average is 1; expected a share"),
        (SMALL + "[finalists]\nsmoothing = 1\n", "'smoothing' is unknown"),
        (SMALL + 'decoded = "a.npy"\n', "decoded is for images from files, not for the built-in"),
        (SMALL + "[teacher]\nsimulated = true\n", r"each begun by a line \[\[teacher\]\]"),
        (SMALL + "[[teacher]]\nareas = ['V4']\n", "has no source; expected one of"),
        ("space = 3\n" + SMALL, r"begun by a line \[space\]"),
        ("candidates = \n", r"not a TOML file: .*line 1"),
    ],
)
def test_what_is_out_of_range_or_place_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RunFileError, match=message.replace("'", "['\"]")) as caught:
        load_run(write(tmp_path, text))
    assert "RUN.toml" in str(caught.value)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no run file .*nope\.toml"):
        load_run(tmp_path / "nope.toml")


@pytest.mark.parametrize(
    ("teacher", "error", "message"),
    [
        ('recording = "v4.nc"\nstimuli = "few.nc"', AlignmentError, "im4"),
        ('recording = "v4.nc"\nstimuli = "images.nc"\nareas = ["AIT"]', RecordingError, "AIT"),
        ('rdm = "it.nc"\nstimuli = "images.nc"\nareas = ["AIT"]', RecordingError, "AIT"),
        ('recording = "images.nc"\nstimuli = "images.nc"', RecordingError, "images.nc"),
        ('rdm = "it.nc"\nstimuli = "v4.nc"', RecordingError, "v4.nc"),
    ],
)
def test_data_that_do_not_fit_are_refused(
    folder: Path, teacher: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load_run(write(folder, SMALL + f"[[teacher]]\n{teacher}\n"))


def test_the_demonstration_is_a_run_file_of_its_own(tmp_path: Path) -> None:
    path = write_demo(tmp_path / "demo" / "RUN.toml", candidates=5, steps=7, seed=2)
    run = load_run(path)
    assert (run.candidates, run.task.training.steps, run.controller.seed) == (5, 7, 2)
    assert run.task.teacher is not None
    assert run.task.teacher.areas == ("V4", "IT")
    assert isinstance(run.controller, PredictorSearch)  # the default, written out
    assert write_demo(path, candidates=5, steps=7, seed=2) == path
    with pytest.raises(RunFileError, match="in another folder"):
        write_demo(path, candidates=5, steps=8, seed=2)


def test_a_list_of_architectures_stands_in_the_file_with_its_subspace(tmp_path: Path) -> None:
    text = '[space]\npreset = "nasbench201"\noperations = ["none", "nor_conv_3x3"]\n'
    text += '[controller]\nname = "list"\narchitectures = ["333333", "300000"]\n'
    run = load_run(write(tmp_path, SMALL + text))
    assert [a.to_text()[:16] for a in run.controller.ask(9)] == ["|nor_conv_3x3~0|"] * 2


@pytest.mark.parametrize("name", SPACES)
def test_every_space_stands_under_its_name(tmp_path: Path, name: str) -> None:
    run = load_run(write(tmp_path, SMALL + f'[space]\npreset = "{name}"\n'))
    assert run.controller.space == SPACES[name]()


@pytest.mark.parametrize("name", CONTROLLERS)
def test_every_controller_stands_under_its_name(tmp_path: Path, name: str) -> None:
    text = f'[controller]\nname = "{name}"\nunique = false\n'
    text += "[space]\nmax_depth = 2\n" if name == "list" else ""  # few enough to list
    run = load_run(write(tmp_path, SMALL + text))
    assert (
        run.controller.describe()
        == CONTROLLERS[name](run.controller.space, unique=False).describe()
    )


def test_settings_of_spaces_and_controllers_are_given_by_name(tmp_path: Path) -> None:
    text = '[space]\npreset = "pnas"\nn_blocks = 3\nstem = "imagenet"\nstem_cells = 1\n'
    text += '[controller]\nname = "ppo"\nepochs = 2\nclip = 0.1\n'
    run = load_run(write(tmp_path, SMALL + text))
    assert run.controller.space == pnas_space(n_blocks=3, stem="imagenet", stem_cells=1)
    assert run.controller.describe()["epochs"] == 2
    text = '[space]\npreset = "residual"\nwidths = [4, 8]\nn_block = 3\nn_stages = "two"\n'
    text += '[controller]\nname = "evolution"\nsample = 30\n[limits]\nmax_parameters = 0\nx = 1\n'
    with pytest.raises(RunFileError) as caught:
        load_run(write(tmp_path, SMALL + text))
    for part in ("[space] 'n_block' is unknown", "n_stages is 'two'", "[limits] 'x' is unknown"):
        assert part in str(caught.value)
    text = '[controller]\nname = "evolution"\nsample = 30\n[limits]\nmax_parameters = 0\n'
    with pytest.raises(RunFileError) as caught:
        load_run(write(tmp_path, SMALL + text))
    for part in ("[limits] max_parameters is 0", "[controller] sample is 30"):
        assert part in str(caught.value)


def test_limits_of_time_and_images_end_a_search(tmp_path: Path) -> None:
    run = load_run(write(tmp_path, SMALL + "[limits]\nhours = 1.5\nexamples = 1000\n"))
    assert run.schedule == Schedule(hours=1.5, examples=1000)
    assert run.controller.limits is None
    with pytest.raises(RunFileError, match=r"\[limits\] hours is 0.*\n.*examples is 0"):
        load_run(write(tmp_path, SMALL + "[limits]\nhours = 0\nexamples = 0\n"))


def test_the_seed_of_the_file_can_be_replaced(tmp_path: Path) -> None:
    run = load_run(write(tmp_path, "seed = 3\n" + SMALL), seed=8)
    assert run.controller.seed == 8


def test_what_is_evaluated_again_stands_under_winner(tmp_path: Path) -> None:
    plain = load_run(write(tmp_path, SMALL)).schedule.again
    assert (plain.confirm, plain.repeat) == (None, None)  # by the reward
    found = load_run(write(tmp_path, SMALL + "seeds = 2\n[winner]\nconfirm = 2\nrepeat = 0\n"))
    assert (found.schedule.again.confirm, found.schedule.again.repeat, found.task.seeds) == (
        2,
        0,
        2,
    )
    for text, said in (
        ("confirm = -1", r"\[winner\] confirm is -1; expected a whole number, 0 or more"),
        ("confirm = 1000", r"\[winner\] confirm is 1000, expected at most the \d+ candidates"),
        ("confirm = true", r"\[winner\] confirm is True, expected a whole number"),
        ("top = 3", r"\[winner\] 'top' is unknown"),
    ):
        with pytest.raises(RunFileError, match=said):
            load_run(write(tmp_path, f"{SMALL}[winner]\n{text}\n"))


def test_limits_count_the_classes_and_pixels_of_the_images(tmp_path: Path) -> None:
    run = load_run(write(tmp_path, SMALL + "[limits]\nmax_parameters = 9000\n"))
    assert run.controller.limits == Limits(max_parameters=9000, n_classes=8, image_size=32)
    proposals = run.controller.ask(5)
    assert all(proposal.count_parameters(8) <= 9000 for proposal in proposals)


def earn(architecture, task, *, seed):
    return succeed(architecture, seed, int(architecture.key[:4], 16) / 65536)


def test_a_controller_starts_from_an_earlier_run(tmp_path: Path) -> None:
    def start(text: str = ""):
        return load_run(write(tmp_path, SMALL + '[controller]\nname = "evolution"\n' + text))

    first, earlier = start(), tmp_path / "first"
    run_search(first.controller, first.task, candidates=9, out=earlier, evaluate=earn)
    warm = 'warm_start = "first"\n'
    again = start(warm)
    assert len(again.controller.earlier) == 9
    with pytest.raises(RunFileError, match=r"warm_start: .*second is no folder"):
        start(warm.replace("first", "second"))
    settings = {"out": tmp_path / "next", "evaluate": earn}
    run_search(again.controller, again.task, candidates=8, **settings)
    # The first goes on, and so can the next: it holds what it has learned
    run_search(start().controller, first.task, candidates=12, out=earlier, evaluate=earn)
    later = start(warm)
    assert len(later.controller.earlier) == 12
    parts = run_search(later.controller, later.task, candidates=20, **settings)
    assert parts.sizes["candidate"] == 20


def test_a_warm_start_from_another_task_is_asked_for(tmp_path: Path) -> None:
    first = load_run(write(tmp_path, SMALL))
    run_search(first.controller, first.task, candidates=2, out=tmp_path / "first", evaluate=earn)
    other = SMALL + 'alpha = 0.5\n[controller]\nwarm_start = "first"\n'
    with pytest.raises(
        RunFileError, match=r"(?s)warm_start_anyway = true:.*alpha: 1.0 in first, 0.5"
    ):
        load_run(write(tmp_path, other))
    run = load_run(write(tmp_path, other + "warm_start_anyway = true\n"))
    assert len(run.controller.earlier) == 2


def test_test_images_are_those_of_no_other_part(tmp_path: Path) -> None:
    run = load_run(write(tmp_path, SMALL))
    run.check_test()
    images, labels = run.load_test()
    assert len(images) == len(labels) == 64
    others = [*run.task.images.train_images, *run.task.images.validation_images]
    seen = {image.tobytes() for image in others}
    assert not [image for image in images if image.tobytes() in seen]


def test_orders_and_deadlines_are_chosen_in_the_file(tmp_path: Path) -> None:
    run = load_run(write(tmp_path, 'order = "completion"\n' + SMALL))
    assert run.schedule == Schedule(Completion())
    run = load_run(write(tmp_path, 'order = "index"\nlag = 6\ntimeout = 60\n' + SMALL))
    assert run.schedule == Schedule(Index(6), 60)
    run = load_run(write(tmp_path, "order = {index = 6}\ntimeout = 60\n" + SMALL))
    assert run.schedule == Schedule(Index(6), 60)
    assert load_run(write(tmp_path, "order = {batch = 3}\n" + SMALL)).schedule.order == Batch(3)
    for text, message in (
        ('order = "index"\n', "order 'index' needs its lag"),
        ('order = "completion"\nround_size = 4\n', "round_size belongs to the order 'batch'"),
        ('order = "random"\n', "order 'random' is unknown"),
        ("timeout = -1\n", "timeout is -1"),
        ("order = {batch = 8}\nround_size = 8\n", "round_size and order = .* say the same"),
        ("order = {index = -1}\n", "order: lag is -1"),
        ("order = {completion = 1}\n", "takes no number"),
        ("order = {batch = 1, index = 2}\n", "a table of one name"),
        ("order = 8\n", "order is 8, expected a name in quotes, or a table"),
        ("lag = 3\n", "lag belongs to the order 'index', not to 'batch'"),
    ):
        with pytest.raises(RunFileError, match=message):
            load_run(write(tmp_path, text + SMALL))


NINES = "9" * 400
HOSTILE = {
    "candidates = 3\n[space]\npreset = 3\n": "[space] preset is 3, expected one of small, ",
    "candidates = 3\n[controller]\nname = ['x']\n": "[controller] name is ['x'], expected one of",
    f"candidates = {NINES}\n": "candidates is a number of 1329 bits, expected a whole number",
    f"candidates = 3\ntimeout = {NINES}\n": "timeout is a number of 1329 bits, expected a finite",
    f"candidates = 3\nx = {'[' * 5000}{']' * 5000}\n": "is nested too deeply to be a run file",
    "candidates = 3\n[space]\nmax_depth = 100000000000\n": "max_depth is 100000000000, expected at",
    "candidates = 3\n[controller]\nhidden = 100000000000\n": "hidden is 100000000000, expected at",
    "candidates = 3\n[task]\nn_train = 6400000000000\n": "up to 640,000 is expected",
    "candidates = 3\n[ray]\ncpus = -1\n": "[ray] cpus is -1, expected 0 to",
    "candidates = 3\n[task]\ndevice = 'cuda:99999999999999999999'\n": "device is 'cuda:9999",
    f"candidates = 3\n[task]\nimages = '{'a' * 10**5}'\n": "images is 'aaaaa",
    f"candidates = 3\n# {'a' * 2**20}\n": "is larger than 1,048,576 bytes",
}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_numbers_and_texts_without_end_are_refused_in_one_short_message(tmp_path, text):
    path = tmp_path / "RUN.toml"
    path.write_text(text)
    with pytest.raises(RunFileError) as caught:
        load_run(path)
    assert HOSTILE[text] in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_objects_can_be_seen_in_their_canonical_view_alone(tmp_path: Path) -> None:
    three = SMALL.replace("n_train = 64", "n_train = 192")
    run = load_run(write(tmp_path, three + "variation = [0]\n"))
    assert "variation=(0,)" in run.task.images.source
    usual = load_run(write(tmp_path, three)).task.images
    assert "variation=(0, 3, 6)" in usual.source
    assert not np.array_equal(run.task.images.train_images, usual.train_images)
    images, _ = run.load_test()
    assert len(images) == len(run.task.images.validation_images)
    for bad in ("[7]", "[0, 0]", "[]", "[-1]"):
        with pytest.raises(RunFileError, match=r"\[task\] variation is .*levels from 0 to 6"):
            load_run(write(tmp_path, SMALL + f"variation = {bad}\n"))
    with pytest.raises(RunFileError, match="variation is 'high', expected a list"):
        load_run(write(tmp_path, SMALL + 'variation = "high"\n'))


def test_the_variation_of_images_in_files_cannot_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    text = 'candidates = 2\n[space]\npreset = "small"\n[task]\nimages = "images"\nvariation = [0]\n'
    with pytest.raises(RunFileError, match="variation is that of the built-in objects"):
        load_run(write(tmp_path, text))


def test_every_key_of_a_run_file_is_listed_with_what_it_takes():
    """As it is checked: a value of another kind is refused with the same words."""
    keys = list_keys()
    assert {"[task]", "[limits]", "[[teacher]]"} < keys.keys()
    assert all(f'[space], preset = "{name}"' in keys for name in SPACES)
    assert all(f'[controller], name = "{name}"' in keys for name in CONTROLLERS)
    example = (load_run.__doc__ or "").partition("A TOML file::")[2].partition("seed : int")[0]
    known = {key for table in keys.values() for key in table}
    named = {line.split("=")[0].strip() for line in example.splitlines() if " = " in line}
    assert {name for name in named if name.isidentifier()} <= known
    assert keys["[task]"]["steps"] == "a whole number"
