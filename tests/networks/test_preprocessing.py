"""What is done to images before a network sees them, stated by hand or by a configuration."""

from __future__ import annotations

import enum

import numpy as np
import pytest
import torch
from noise_stimuli import make_stimuli
from torch import nn

from brainguided.networks.preprocessing import (
    Preprocessing,
    images_to_tensor,
    read_preprocessing,
)
from brainguided.networks.streamed import compute_layer_rdms
from brainguided.settings.model_file import ModelError, load_model

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGENET = Preprocessing(size=256, crop=224, mean=MEAN, std=STD, unit="0..1")


def test_preprocessing_crops_scales_and_says_so() -> None:
    images = np.zeros((1, 8, 12, 3), dtype=np.uint8)
    images[:, 2:6, 4:8] = 200
    how = Preprocessing(crop=4, mean=(100, 0, 0), std=(1, 2, 4))
    tensor = images_to_tensor(images, how)
    assert tensor.shape == (1, 3, 4, 4)
    assert tensor[0, :, 0, 0].tolist() == [100, 100, 50]
    assert images_to_tensor(images, Preprocessing(size=4)).shape == (1, 3, 4, 4)
    assert how.describe() == "cropped to 4 px, (x - (100, 0, 0)) / (1, 2, 4)"
    assert Preprocessing().describe() == "(x - 127.5) / 127.5"
    network = nn.Sequential(nn.Conv2d(3, 4, 3))
    rdms = compute_layer_rdms(network, make_stimuli(6), preprocessing=Preprocessing(size=16))
    assert rdms.descriptors["preprocessing"].startswith("resized to 16 px")
    with pytest.raises(ValueError, match="cannot be cropped to 9 px"):
        images_to_tensor(images, Preprocessing(crop=9))
    with pytest.raises(ValueError, match=r"crop is 9 px(?s:.*)std is"):
        Preprocessing(size=8, crop=9, std=(0.0, np.inf, 1.0))


def test_means_and_deviations_of_images_in_0_to_1_are_refused_until_their_unit_is_said() -> None:
    with pytest.raises(ValueError, match=r"say unit='0\.\.1'"):
        Preprocessing(mean=MEAN, std=STD)
    with pytest.raises(ValueError, match=r"say unit='0\.\.1'"):
        Preprocessing(mean=(0, 0, 0), std=(1, 1, 1))
    images = np.random.default_rng(0).integers(0, 256, (2, 6, 6, 3), dtype=np.uint8)
    tensor = images_to_tensor(images, Preprocessing(mean=MEAN, std=STD, unit="0..1"))
    expected = (images / 255 - MEAN) / STD
    np.testing.assert_allclose(tensor.permute(0, 2, 3, 1), expected, rtol=1e-5, atol=1e-6)
    in_255 = Preprocessing(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
    np.testing.assert_allclose(images_to_tensor(images, in_255), tensor, rtol=1e-5, atol=1e-6)
    half = Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3, unit="0..1")
    np.testing.assert_allclose(images_to_tensor(images, half), images_to_tensor(images), atol=1e-6)
    as_they_are = Preprocessing(mean=(0, 0, 0), std=(1, 1, 1), unit="0..255")
    np.testing.assert_array_equal(
        images_to_tensor(images, as_they_are), torch.from_numpy(images).permute(0, 3, 1, 2)
    )


def test_units_that_contradict_the_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"in units of 0\.\.1; expected numbers of about 0 to 1"):
        Preprocessing(unit="0..1")
    with pytest.raises(ValueError, match=r"unit is '1'; it is one of '0\.\.255', '0\.\.1'"):
        Preprocessing(unit="1")
    with pytest.raises(ValueError, match=r"mean is 0.5; expected three numbers(?s:.*)std is \(1,"):
        Preprocessing(mean=0.5, std=(1, 2))
    caffe = Preprocessing(mean=(123.0, 117.0, 104.0), std=(1, 1, 1))
    assert caffe.describe() == "(x - (123, 117, 104)) / 1"


class Mode(enum.Enum):
    BICUBIC = "bicubic"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            {
                "input_size": (3, 224, 224), "interpolation": "bicubic", "crop_mode": "center",
                "mean": MEAN, "std": STD, "crop_pct": 0.9, "architecture": "vit",
            },
            Preprocessing(248, 224, MEAN, STD, "bicubic", "0..1"),
        ),
        (
            {
                "training": True, "crop_size": [224], "resize_size": [232], "mean": list(MEAN),
                "std": list(STD), "interpolation": Mode.BICUBIC, "antialias": True,
            },
            Preprocessing(232, 224, MEAN, STD, "bicubic", "0..1"),
        ),
        (
            {
                "do_normalize": True, "do_resize": True, "image_mean": [0.5] * 3,
                "image_std": [0.5] * 3, "resample": 2, "size": {"height": 224, "width": 224},
            },
            Preprocessing(224, None, (0.5,) * 3, (0.5,) * 3, "bilinear", "0..1"),
        ),
        (
            {
                "do_center_crop": True, "crop_size": {"height": 224, "width": 224},
                "size": {"shortest_edge": 256}, "image_mean": MEAN, "image_std": STD,
                "resample": 3, "rescale_factor": 0.00392156862745098,
            },
            Preprocessing(256, 224, MEAN, STD, "bicubic", "0..1"),
        ),
        (
            {"do_normalize": False, "do_resize": False, "do_rescale": True},
            Preprocessing(None, None, (0, 0, 0), (1, 1, 1), "bilinear", "0..1"),
        ),
        (
            {"crop_pct": 0.875, "size": {"shortest_edge": 224}, "image_mean": MEAN,
             "image_std": STD, "resample": 3},
            Preprocessing(256, 224, MEAN, STD, "bicubic", "0..1"),
        ),
    ],
)  # fmt: skip
def test_configurations_of_timm_torchvision_and_hugging_face_are_read(config, expected) -> None:
    assert read_preprocessing(config) == expected


def test_configurations_that_ask_for_something_else_are_refused() -> None:
    timm = {"input_size": (3, 224, 224), "mean": MEAN, "std": STD}
    for change, message in (
        ({"interpolation": "lanczos"}, "resizes by 'lanczos'; expected 'bilinear'"),
        ({"input_size": (3, 224, 192)}, "expected a square"),
        ({"crop_mode": "border"}, "crop_mode is 'border'"),
    ):
        with pytest.raises(ValueError, match=message):
            read_preprocessing(timm | change)
    with pytest.raises(
        ValueError, match=r"rescale_factor is 0.00784314 with an offset; expected 1"
    ):
        read_preprocessing(
            {"image_mean": MEAN, "image_std": STD, "rescale_factor": 1 / 127.5,
             "rescale_offset": True}
        )  # fmt: skip
    with pytest.raises(ValueError, match=r"has the keys \['mu'\]; expected mean and std with"):
        read_preprocessing({"mu": 3})


def test_model_files_return_a_configuration_or_are_told_their_unit(tmp_path) -> None:
    (tmp_path / "models.py").write_text(
        "from torch import nn\nfrom brainguided import Preprocessing\n"
        f"MEAN, STD = {MEAN}, {STD}\n"
        "SIZE = (3, 224, 224)\ndef timm():\n"
        "    return nn.Identity(), dict(input_size=SIZE, mean=MEAN, std=STD)\n"
        "def odd():\n    return nn.Identity(), dict(mu=1)\n"
        "def typed():\n    return nn.Identity(), Preprocessing(mean=MEAN, std=STD)\n"
    )
    assert load_model(f"{tmp_path}/models.py:timm")[1] == IMAGENET
    with pytest.raises(ModelError, match=r"odd returned a configuration: The configuration has"):
        load_model(f"{tmp_path}/models.py:odd")
    with pytest.raises(ModelError, match=r"failed at line 10 (?s:.*)say unit='0\.\.1'"):
        load_model(f"{tmp_path}/models.py:typed")


def test_a_configuration_inside_a_file_is_found_and_a_longest_side_is_refused() -> None:
    timm = {"input_size": [3, 224, 224], "crop_pct": 0.875, "interpolation": "bicubic",
            "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}  # fmt: skip
    held = {"architecture": "resnet50", "num_classes": 1000, "pretrained_cfg": timm}
    assert read_preprocessing(held) == read_preprocessing(timm)
    face = {"size": {"shortest_edge": 224}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    held = {"processor_class": "ViTProcessor", "image_processor": face}
    assert read_preprocessing(held) == read_preprocessing(face)
    with pytest.raises(ValueError, match=r"size is \{'longest_edge': 224\}; .*the shorter side"):
        read_preprocessing({**face, "size": {"longest_edge": 224}})
