"""What long trainings add: none of it does anything until it is set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from brainguided.architectures import ConvLayer, PlainArchitecture
from brainguided.candidates._averaging import MovingAverage
from brainguided.candidates._batches import cut_out
from brainguided.candidates.accuracy import compute_performance
from brainguided.candidates.goal import CLASSIFICATION, count_among_best
from brainguided.candidates.recipe import LongTraining, Recipe
from brainguided.candidates.retraining import Retraining
from brainguided.candidates.training import SGD, Training, _find_rate, train_network
from brainguided.engines.folder._weights import describe_retraining, read_retraining
from brainguided.networks.build import build_network

TINY = PlainArchitecture((ConvLayer(3, 3, 4, stride=2),))


def train(recipe: Recipe, steps: int = 4, augment: bool = True):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (64, 8, 8, 3), dtype=np.uint8)
    network = build_network(TINY, n_classes=7, seed=0)
    training = Training(steps=steps, batch_size=16, sgd=SGD(recipe=recipe), augment=augment)
    losses = train_network(network, images, generator.integers(0, 7, 64), training=training, seed=0)
    return network.state_dict(), losses


def are_equal(first, second) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    "recipe",
    [Recipe(warm_up=3), Recipe(label_smoothing=0.1), Recipe(cutout=4), Recipe(average=0.5)],
)
def test_each_setting_changes_weights_and_none_does_where_it_is_zero(recipe) -> None:
    plain, losses = train(Recipe())
    changed, _ = train(recipe)
    assert not are_equal(plain, changed)
    (name,) = recipe.describe()
    same, again = train(replace(recipe, **{name: 0}))
    assert are_equal(plain, same)
    np.testing.assert_array_equal(losses, again)
    assert Training(sgd=SGD(recipe=Recipe())).describe() == Training().describe()
    assert Training(sgd=SGD(recipe=recipe)).describe().items() > Training().describe().items()


def test_smoothed_labels_mix_the_cross_entropies_of_all_classes() -> None:
    outputs = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(5)
    every = torch.stack([
        nn.functional.cross_entropy(outputs, torch.full((5,), k)) for k in range(7)
    ])  # fmt: skip
    expected = 0.8 * CLASSIFICATION.loss(outputs, labels) + 0.2 * every.mean()
    torch.testing.assert_close(CLASSIFICATION.smooth(0.2).loss(outputs, labels), expected)
    own = replace(CLASSIFICATION, loss=nn.functional.mse_loss)
    assert own.smooth(0.2) is own


def test_the_rate_rises_to_the_cosine_and_then_follows_it() -> None:
    plain = Training(steps=20)
    warm = Training(steps=20, sgd=SGD(recipe=Recipe(warm_up=5)))
    shares = [_find_rate(warm, step) / _find_rate(plain, step) for step in range(20)]
    np.testing.assert_allclose(shares, [0.2, 0.4, 0.6, 0.8, *[1.0] * 16])


def test_a_square_is_grey_and_the_rest_as_it_was() -> None:
    inputs = torch.ones(50, 3, 16, 16)
    generator = np.random.default_rng(0)
    cut_out(inputs, 0, generator)
    assert (inputs == 1).all()
    assert generator.random() == np.random.default_rng(0).random()  # nothing was drawn
    cut_out(inputs, 6, generator)
    grey = (inputs == 0).all(1)
    assert set(inputs.unique().tolist()) == {0.0, 1.0}
    assert grey.sum((1, 2)).max() == 36
    assert grey.sum((1, 2)).min() >= 9  # a corner
    rows, columns = grey.any(2), grey.any(1)
    assert torch.equal(grey, rows[:, :, None] & columns[:, None])
    cut_out(inputs, 32, generator)
    assert (inputs == 0).all()


def test_weights_in_the_end_are_the_average_over_steps() -> None:
    network = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(1.0)
        average, expected = MovingAverage(network, 0.3), 1.0
        for step, value in enumerate((2.0, 5.0, -1.0), 1):
            network.weight.fill_(value)
            average.follow()
            decay = min(0.3, (1 + step) / (10 + step))
            expected = decay * expected + (1 - decay) * value
        average.put()
    assert network.weight.item() == pytest.approx(expected)
    _, losses = train(Recipe())
    _, same = train(Recipe(average=0.9))
    np.testing.assert_array_equal(losses, same)  # training itself goes on with its own weights


def test_the_top_five_hold_the_right_class_as_sorting_says() -> None:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    labels = generator.integers(0, 7, 40)
    network = build_network(TINY, n_classes=7, seed=0).eval()
    found, _ = compute_performance(network, images, labels, goal=count_among_best(5))
    with torch.no_grad():
        outputs = network(torch.from_numpy(images).movedim(-1, 1) / 127.5 - 1).numpy()
    best = np.argsort(-outputs, 1)[:, :5]
    assert found == pytest.approx((best == labels[:, None]).any(1).mean())


def test_a_folder_carries_the_recipe_of_a_job() -> None:
    recipe = Recipe(label_smoothing=0.1, warm_up=5)
    job = Retraining(0, TINY.to_json(), 3, 7, recipe=recipe)
    written = {"architecture": job.architecture, "seed": 3, **describe_retraining(job)}
    assert read_retraining(written) == job
    plain = Retraining(0, TINY.to_json(), 3, 7)
    assert "recipe" not in describe_retraining(plain)
    with pytest.raises(ValueError, match="no retraining"):
        read_retraining({**written, "recipe": {"other": 1}})
    with pytest.raises(ValueError, match="warm_up is -1"):
        read_retraining({**written, "recipe": {"warm_up": -1}})


def test_settings_out_of_range_are_refused_together() -> None:
    with pytest.raises(ValueError, match=r"warm_up is 1\.5[\s\S]*label_smoothing is 1"):
        Recipe(warm_up=1.5, label_smoothing=1)
    with pytest.raises(ValueError, match="final_steps is 0"):
        LongTraining(3, 0)
    assert LongTraining(3, 3).describe() == {"steps": 3}
    assert LongTraining(3, 5, Recipe(cutout=2)).describe() == {
        "steps": 3,
        "final_steps": 5,
        "recipe": {"cutout": 2},
    }
