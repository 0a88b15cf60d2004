"""The short training of a candidate."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from simulated_card import SimulatedCard, on_card
from torch import nn

from brainguided.architectures import ConvLayer, PlainArchitecture
from brainguided.candidates._batches import draw_shifts, iterate_batches, to_inputs
from brainguided.candidates.accuracy import (
    compute_accuracy,
    compute_performance,
    recompute_batch_norm,
)
from brainguided.candidates.training import (
    SGD,
    DivergedError,
    Training,
    _exact_cudnn,
    _find_rate,
    on_device,
    single_thread,
    train_network,
)
from brainguided.networks.build import build_network
from brainguided.networks.preprocessing import images_to_tensor

TINY = PlainArchitecture((ConvLayer(3, 3, 8, stride=2), ConvLayer(3, 3, 8, stride=2)))


def make_task(n: int = 256, seed: int = 0):
    """Two classes that differ in colour, under noise."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, n)
    images = generator.integers(60, 140, (n, 16, 16, 3))
    images[labels == 1, :, :, 0] += 60
    return images.astype(np.uint8), labels


def train(training: Training, seed: int = 0, **options):
    network = build_network(TINY, n_classes=2, seed=0)
    losses = train_network(network, *make_task(), training=training, seed=seed, **options)
    return network, losses


def test_an_easy_task_is_learnt_and_the_loss_falls() -> None:
    network, losses = train(Training(steps=40, batch_size=32))
    assert compute_accuracy(network, *make_task(seed=9)) > 0.95
    assert losses[-5:].mean() < 0.5 * losses[:2].mean()


def test_same_seed_same_weights_whatever_the_global_generators() -> None:
    results = []
    for noise in range(2):
        torch.manual_seed(noise)
        np.random.seed(noise)  # noqa: NPY002
        results.append(train(Training(steps=5, batch_size=32), seed=3)[0].state_dict())
    assert all(torch.equal(results[0][k], results[1][k]) for k in results[0])
    other = train(Training(steps=5, batch_size=32), seed=4)[0].state_dict()
    assert not torch.equal(results[0]["classifier.weight"], other["classifier.weight"])


def test_rungs_are_called_after_their_step_and_do_not_change_the_training() -> None:
    seen = []
    settings = {"steps": 6, "batch_size": 32}
    quiet, _ = train(Training(**settings))
    watched, _ = train(
        Training(**settings, rungs=(0, 2, 4)), on_rung=lambda step, losses: seen.append(step)
    )
    assert seen == [0, 2, 4, 6]
    assert torch.equal(quiet.classifier.weight, watched.classifier.weight)


def test_zero_steps_leave_the_random_weights() -> None:
    network, losses = train(Training(steps=0))
    fresh = build_network(TINY, n_classes=2, seed=0)
    assert torch.equal(network.classifier.weight, fresh.classifier.weight)
    assert losses.size == 0


def test_augmentation_shifts_and_flips_only_when_asked() -> None:
    images, labels = make_task()
    seen = []

    class Spy(nn.Module):
        def __init__(self):
            super().__init__()
            self.classifier = nn.Linear(3, 2)

        def forward(self, x):
            seen.append(x.clone())
            return self.classifier(x.mean((2, 3)))

    for augment in (False, True):
        training = Training(steps=1, batch_size=256, augment=augment)
        train_network(Spy(), images, labels, training=training, seed=0)
    plain, augmented = (np.sort(x.mean((1, 2, 3)).numpy()) for x in seen)
    expected = np.sort(images.mean((1, 2, 3)) / 127.5 - 1)
    np.testing.assert_allclose(plain, expected, atol=1e-5)
    assert np.abs(augmented - expected).max() > 0.01


def test_bfloat16_trains_as_well() -> None:
    network, _ = train(Training(steps=40, batch_size=32, precision="bfloat16"))
    accuracy = compute_accuracy(network, *make_task(seed=9), precision="bfloat16")
    assert accuracy > 0.95
    assert network.classifier.weight.dtype == torch.float32


def test_a_loss_that_is_not_finite_ends_the_training() -> None:
    with pytest.raises(DivergedError, match=r"the loss is (nan|inf) at step \d"):
        train(Training(steps=30, batch_size=32, sgd=SGD(learning_rate=1e30)))


def test_impossible_settings_are_refused_all_at_once() -> None:
    with pytest.raises(ValueError, match="steps is -1") as caught:
        Training(steps=-1, batch_size=1, sgd=SGD(learning_rate=0), precision="half", device="gpu")
    for part in (
        "batch_size is 1",
        "learning_rate is 0",
        "precision is 'half'",
        "device is 'gpu'; expected 'cpu', 'cuda', one card as 'cuda:1', or 'mps'",
    ):
        assert part in str(caught.value)
    with pytest.raises(ValueError, match=r"rungs are \(300,\)"):
        Training(steps=200, rungs=(300,))
    with pytest.raises(ValueError, match="256 training images are fewer than one batch of 300"):
        train(Training(steps=1, batch_size=300))


def test_a_training_ends_where_a_rung_says_so() -> None:
    settings = Training(steps=6, batch_size=32, rungs=(0, 4))
    network, losses = train(settings, on_rung=lambda step, _: step < 4)
    whole, _ = train(Training(steps=4, batch_size=32, sgd=SGD(schedule="constant")))
    assert len(losses) == 4
    assert not torch.equal(network.classifier.weight, whole.classifier.weight), "another schedule"


def test_with_a_constant_rate_a_rung_is_what_a_shorter_training_would_reach() -> None:
    settings = {"batch_size": 32, "sgd": SGD(schedule="constant")}
    reached = []
    network = build_network(TINY, n_classes=2, seed=0)
    train_network(
        network, *make_task(), training=Training(steps=14, rungs=(12,), **settings), seed=0,
        on_rung=lambda *_: reached.append(network.classifier.weight.detach().clone()),
    )  # fmt: skip
    shorter, _ = train(Training(steps=12, **settings))
    assert torch.equal(reached[0], shorter.classifier.weight)
    rates = [
        _find_rate(Training(sgd=SGD(schedule="constant")), step) for step in (0, 4, 9, 10, 199)
    ]
    assert rates == pytest.approx([0.005, 0.025, 0.05, 0.05, 0.05])


def test_recomputed_batch_norm_is_the_mean_of_what_batches_have() -> None:
    images, _ = make_task()
    network, _ = train(Training(steps=3, batch_size=32))
    before = network.state_dict()["classifier.weight"].clone()
    norm = next(m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d))
    seen = []
    norm.register_forward_pre_hook(lambda _, given: seen.append(given[0].mean((0, 2, 3))))
    momentum, network.training = norm.momentum, False
    recompute_batch_norm(network, images, batch_size=32)
    assert len(seen) == 256 // 32
    assert torch.allclose(norm.running_mean, torch.stack(seen).mean(0), atol=1e-6)
    assert (norm.momentum, network.training) == (momentum, False)
    assert torch.equal(network.state_dict()["classifier.weight"], before)
    found = norm.running_var.clone()
    recompute_batch_norm(network, images, batch_size=32)
    assert torch.equal(norm.running_var, found), "the same images each time"


def test_cross_entropy_is_that_of_torch() -> None:
    images, labels = make_task(seed=9)
    network, _ = train(Training(steps=3, batch_size=32))
    accuracy, loss = compute_performance(network, images, labels)
    logits = network.eval()(images_to_tensor(images))
    expected = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels))
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    assert accuracy == compute_accuracy(network, images, labels)


def test_single_thread_restores_the_number_of_threads() -> None:
    before = torch.get_num_threads()
    with single_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_a_device_is_checked_by_its_form_and_not_looked_for() -> None:
    for device in ("cpu", "cuda", "cuda:1", "mps"):
        assert Training(device=device).device == device
    for device in ("cuda:", "cuda:x", "cuda:-1", "cpu:0", "CUDA", "meta", "", 0):
        with pytest.raises(ValueError, match="device is "):
            Training(device=device)


def test_settings_say_their_device_only_where_it_is_not_the_cpu() -> None:
    described = Training(rungs=(3, 5)).describe()
    assert described == {
        "steps": 200,
        "rungs": [3, 5, 200],
        "batch_size": 128,
        "learning_rate": 0.05,
        "weight_decay": 1e-4,
        "augment": True,
        "precision": "float32",
        "schedule": "cosine",
    }
    assert Training(device="cuda").describe()["device"] == "cuda"
    assert Training(device="cuda:1").describe() == Training(device="cuda").describe()


def test_training_on_a_device_is_that_of_the_cpu_and_brings_the_network_back() -> None:
    settings = Training(steps=4, batch_size=32, rungs=(2,))
    expected, expected_losses = train(settings)
    places = []
    with SimulatedCard() as card:
        network = build_network(TINY, n_classes=2, seed=0)
        weight = network.classifier
        losses = train_network(
            network,
            *make_task(),
            training=on_card(settings),
            seed=0,
            on_rung=lambda *_: places.append(weight.weight.device.type),
        )
        assert compute_accuracy(network, *make_task(seed=9)) == compute_accuracy(
            expected, *make_task(seed=9)
        )
    assert places == ["meta", "meta"]
    assert {"aten.convolution.default", "aten.convolution_backward.default"} <= set(card.there)
    assert "aten.convolution_backward.default" not in card.here
    np.testing.assert_array_equal(losses, expected_losses)
    for name, value in network.state_dict().items():
        assert value.device.type == "cpu"
        assert torch.equal(value, expected.state_dict()[name])


def test_a_device_that_torch_does_not_see_is_an_error_that_says_what_it_sees(monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    seen = r"'cuda', but torch \S+ sees no CUDA devices.*\(CUDA_VISIBLE_DEVICES is ''\).*\[ray\]"
    with pytest.raises(RuntimeError, match=seen):
        train(Training(steps=1, batch_size=32, device="cuda"))
    with pytest.raises(RuntimeError, match=r"'mps', but torch \S+ sees no MPS device"):
        train(Training(steps=1, batch_size=32, device="mps"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(RuntimeError, match=r"'cuda:1', but torch \S+ sees 1 CUDA device "):
        train(Training(steps=1, batch_size=32, device="cuda:1"))


def test_cudnn_is_exact_on_cuda_only_and_afterwards_as_it_was() -> None:
    cudnn = torch.backends.cudnn
    before = (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32)
    with _exact_cudnn(torch.device("cuda:1")):
        assert (cudnn.deterministic, cudnn.allow_tf32) == (True, False)
    assert (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32) == before
    with on_device(nn.Linear(2, 2), "cpu"):
        assert (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32) == before


def test_every_image_is_seen_once_before_any_is_seen_again() -> None:
    """Also where batches do not divide the images: the remainder begins the next batch."""
    seen = np.concatenate(list(iterate_batches(20, 8, 50, np.random.default_rng(0))))
    for epoch in seen.reshape(20, 20):
        assert sorted(epoch) == list(range(20))


@pytest.mark.parametrize("flip", [True, False])
def test_augmented_images_are_windows_of_padded_ones(flip: bool) -> None:
    images = np.random.default_rng(1).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)
    shown = to_inputs(images, draw_shifts(20, 16, np.random.default_rng(0)), flip=flip)
    generator = np.random.default_rng(0)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    rows, columns = (generator.integers(0, 5, 20) for _ in range(2))
    turned = (generator.random(20) < 0.5) & flip
    expected = [
        image[row : row + 16, column : column + 16][:, :: -1 if turn else 1]
        for image, row, column, turn in zip(padded, rows, columns, turned, strict=True)
    ]
    assert torch.equal(shown, to_inputs(np.stack(expected), None))


def test_images_can_be_shifted_without_being_flipped() -> None:
    images = np.zeros((64, 16, 16, 3), dtype=np.uint8)
    images[:, :, :6] = 255  # light on the left, however it is shifted
    shifts = draw_shifts(64, 16, np.random.default_rng(0))
    shown = to_inputs(images, shifts, flip=False).numpy()
    light = shown[:, 0, 4:12]
    assert (light[..., :8].mean((1, 2)) > light[..., 8:].mean((1, 2))).all()
    flipped = to_inputs(images, shifts).numpy()[:, 0, 4:12]
    right = flipped[..., 8:].mean((1, 2)) > flipped[..., :8].mean((1, 2))
    assert 16 < right.sum() < 48
    a, b = (train(Training(steps=3, augment=how))[1] for how in (True, "shift"))
    assert not np.array_equal(a, b)
    with pytest.raises(ValueError, match="augment is 'flip'; expected True, False or 'shift'"):
        Training(augment="flip")
