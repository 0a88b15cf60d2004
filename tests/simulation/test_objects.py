"""Simulated object images: what they depend on, and what can be read from them."""

from __future__ import annotations

import time

import numpy as np
import pytest

from neural_data.model.stimuli import validate_stimuli
from neural_data.simulation import objects
from neural_data.simulation._object_rays import trace_parts
from neural_data.simulation._object_shapes import CATEGORIES, build_object, compute_rotation
from neural_data.simulation.objects import compute_object_cover, simulate_objects


def _labels(stimuli):
    return np.array([CATEGORIES.index(c) for c in stimuli["category"].values])


def _linear_accuracy(train, test):
    """Ridge classification from pixels, the best of several penalties (chosen on the test set)."""
    x, y = (s["image"].values.reshape(s.sizes["stimulus"], -1) / 255.0 for s in (train, test))
    mean, sd = x.mean(axis=0), x.std(axis=0)
    x, y = ((v - mean) / sd for v in (x, y))
    values, vectors = np.linalg.eigh(x @ x.T)
    targets = vectors.T @ (np.eye(8)[_labels(train)] - 1 / 8)
    between = (y @ x.T) @ vectors
    guesses = [
        (between @ (targets / (values + penalty)[:, None])).argmax(axis=1)
        for penalty in 10.0 ** np.arange(2, 7)
    ]
    return max(float((g == _labels(test)).mean()) for g in guesses)


def test_the_set_is_a_stimulus_set_of_64_objects_in_8_categories_at_3_levels():
    stimuli = simulate_objects(6, seed=2)
    validate_stimuli(stimuli)
    assert stimuli["image"].shape == (384, 32, 32, 3)
    for name, n in (("object_name", 64), ("category", 8), ("variation", 3), ("stimulus", 384)):
        _, counts = np.unique(stimuli[name].values, return_counts=True)
        assert counts.tolist() == [384 // n] * n
    assert "simulated" in stimuli.attrs["source"]


def test_images_do_not_depend_on_the_size_of_blocks(monkeypatch):
    whole = simulate_objects(3, seed=4)
    monkeypatch.setattr(objects, "_BLOCK", 5)
    assert simulate_objects(3, seed=4).identical(whole)


def test_the_same_seed_gives_the_same_images_and_another_seed_other_names_and_images():
    first, again, other = (simulate_objects(1, seed=s) for s in (0, 0, 1))
    assert first.identical(again)
    assert not set(first["stimulus"].values) & set(other["stimulus"].values)
    assert (first["image"] != other["image"].values).mean() > 0.9


def test_a_larger_set_holds_the_smaller_one_under_the_same_names():
    small, large = simulate_objects(2, seed=3), simulate_objects(5, seed=3)
    same = large.sel(stimulus=small["stimulus"])
    assert np.array_equal(same["image"], small["image"])


def test_images_of_another_size_have_other_names():
    small, large = simulate_objects(1), simulate_objects(1, size=48)
    assert not set(small["stimulus"].values) & set(large["stimulus"].values)
    assert large["image"].shape == (64, 48, 48, 3)


def test_level_0_is_the_canonical_view_and_higher_levels_stay_in_their_range():
    stimuli = simulate_objects(30, seed=5)
    for level, shift, yaw in ((0, 0.0, 0.0), (3, 0.135, 42.0), (6, 0.27, 84.0)):
        part = stimuli.isel(stimulus=stimuli["variation"].values == level)
        assert 0.97 * shift <= np.abs(part["shift_x"]).max() <= shift
        assert 0.97 * yaw <= np.abs(part["yaw"]).max() <= yaw
        assert float(np.log(part["scale"]).max()) <= np.log(1.6) * level / 6


def test_an_object_is_the_same_whatever_was_drawn_before():
    first = build_object("cars", 3)
    build_object("cars", 2)
    again = build_object("cars", 3)
    assert all(np.array_equal(first[k][n], again[k][n]) for k in "eb" for n in first[k])
    assert not np.allclose(first["b"]["radii"], build_object("cars", 4)["b"]["radii"])


def test_a_rotation_is_orthogonal_and_pitch_turns_the_top_towards_the_viewer():
    turn = compute_rotation(np.array([20.0, 0.0]), np.array([-35.0, 90.0]), np.array([70.0, 0.0]))
    np.testing.assert_allclose(turn @ np.swapaxes(turn, 1, 2), [np.eye(3)] * 2, atol=1e-6)
    np.testing.assert_allclose(turn[1] @ [0, 1, 0], [0, 0, 1], atol=1e-6)


def _parts(radii, turn=(0.0, 0.0, 0.0), centre=(0.0, 0.0, 0.0)):
    return {
        "centre": np.array([[centre]], dtype=np.float32),
        "axes": compute_rotation(*(np.array([[t]]) for t in turn)),
        "radii": np.array([[radii]], dtype=np.float32),
        "albedo": np.ones((1, 1), dtype=np.float32),
    }


@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0), (30.0, -50.0, 75.0)])
def test_rays_meet_a_turned_ellipsoid_and_a_turned_box_where_a_march_along_the_ray_does(turn):
    rays = np.random.default_rng(0).uniform(-1, 1, size=(2, 200)).astype(np.float32)
    lamp, dark = np.array([[0.0, 0.0, 1.0]]), np.array([0.0])
    away = _parts((0.01, 0.01, 0.01), centre=(5.0, 5.0, 0.0))
    radii, centre = (0.7, 0.3, 0.5), (0.1, -0.2, 0.3)
    there = _parts(radii, turn, centre)
    z = np.linspace(2, -2, 8001)
    points = np.stack(np.broadcast_arrays(rays[0][:, None], rays[1][:, None], z), axis=-1)
    local = (points - centre) @ there["axes"][0, 0] / radii
    for inside, found in (
        ((local**2).sum(axis=-1) < 1, trace_parts(there, away, rays, lamp, dark)),
        (np.abs(local).max(axis=-1) < 1, trace_parts(away, there, rays, lamp, dark)),
    ):
        met = inside.any(axis=1)
        assert 20 < met.sum() < 180
        agree = (found[0][0] > -9) == met
        assert agree.mean() > 0.98  # rays that graze the edge slip through the march
        both = met & agree
        np.testing.assert_allclose(found[0][0][both], z[inside.argmax(axis=1)[both]], atol=5e-3)


def test_a_sphere_lit_from_the_viewer_is_as_bright_as_the_cosine_of_its_normal():
    sphere, away = _parts((0.8, 0.8, 0.8)), _parts((0.01, 0.01, 0.01), centre=(5.0, 5.0, 0.0))
    x = np.linspace(-0.7, 0.7, 9, dtype=np.float32)
    rays = np.stack([x, 0 * x])
    _, light = trace_parts(sphere, away, rays, np.array([[0.0, 0.0, 1.0]]), np.array([0.25]))
    cosine = np.sqrt(1 - (x / 0.8) ** 2)
    np.testing.assert_allclose(light[0], 0.25 + 0.75 * cosine, atol=1e-5)


def test_every_object_is_seen_at_every_size():
    for size in (32, 96):
        image = simulate_objects(1, size=size, variation=(0,))["image"].values
        middle = image[:, size // 4 : -size // 4, size // 4 : -size // 4].astype(float)
        assert (middle.std(axis=(1, 2, 3)) > 2).all()


def test_the_mean_of_the_pixels_tells_nothing_of_the_category():
    stimuli = simulate_objects(60, variation=(3, 6), seed=6)
    mean = stimuli["image"].values.mean(axis=(1, 2, 3))
    category = _labels(stimuli)
    between = np.var([mean[category == k].mean() for k in range(8)])
    assert between < 0.03 * mean.var()


def test_a_linear_readout_of_pixels_does_poorly_on_varied_views():
    train = simulate_objects(31, variation=(3, 6), seed=0)
    test = simulate_objects(12, variation=(3, 6), seed=1)
    assert _linear_accuracy(train, test) < 0.28


def test_a_thousand_images_a_second_are_drawn_on_one_core():
    simulate_objects(1)
    rates = []
    for seed in range(3):
        start = time.process_time()
        simulate_objects(10, seed=seed)
        rates.append(640 / (time.process_time() - start))
    assert max(rates) > 1000


def test_arguments_out_of_range_are_refused_all_at_once():
    with pytest.raises(ValueError, match=r"(?s)n_per_object is 0.*size is 20.*variation is .*seed"):
        simulate_objects(0, size=20, variation=(3, 9), seed=-1)


@pytest.mark.slow
def test_a_small_network_learns_the_categories_in_200_steps_and_well_in_1000():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    torch.set_num_threads(1)

    def tensors(stimuli):
        x = torch.tensor(stimuli["image"].values).permute(0, 3, 1, 2).float() / 255
        return (x - 0.45) / 0.22, torch.tensor(_labels(stimuli))

    images, labels = tensors(simulate_objects(157, seed=0))
    test_images, test_labels = tensors(simulate_objects(16, variation=(3, 6), seed=1))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers, before = [], 3
        for width in (16, 32, 64, 96):
            layers += [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
            layers += [nn.ReLU(), nn.MaxPool2d(2)]
            before = width
        network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(96, 8))
    sgd = torch.optim.SGD(
        network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, 1000)
    order = torch.Generator().manual_seed(0)
    accuracy = {}
    for step in range(1, 1001):
        index = torch.randint(len(images), (128,), generator=order)
        loss = nn.functional.cross_entropy(network(images[index]), labels[index])
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        schedule.step()
        if step in (200, 1000):
            network.eval()
            with torch.no_grad():
                guess = network(test_images).argmax(1)
            accuracy[step] = float((guess == test_labels).float().mean())
            network.train()
    assert accuracy[200] > 0.2
    assert accuracy[1000] > 0.6


def test_the_cover_of_objects_is_that_with_which_they_were_drawn(monkeypatch) -> None:
    drawn = []
    compose = objects._compose
    monkeypatch.setattr(
        objects, "_compose", lambda *given: (drawn.append(given[3]), compose(*given))[1]
    )
    stimuli = simulate_objects(3, seed=4)
    cover = compute_object_cover(stimuli)
    np.testing.assert_array_equal(cover.values, np.concatenate(drawn))
    some = np.random.default_rng(0).permutation(192)[:20]
    few = compute_object_cover(stimuli.isel(stimulus=some))
    np.testing.assert_array_equal(few.values, cover.values[some])


def test_the_cover_of_what_is_no_simulated_object_is_refused() -> None:
    stimuli = simulate_objects(1)
    with pytest.raises(ValueError, match="have no yaw"):
        compute_object_cover(stimuli.drop_vars("yaw"))
    other = stimuli.assign_coords(object_name=("stimulus", ["zebra"] * 64))
    with pytest.raises(ValueError, match=r"\['zebra'\] are none of"):
        compute_object_cover(other)
