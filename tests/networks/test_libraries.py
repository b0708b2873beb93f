"""Networks of other libraries, beside what these make of the same pictures; nothing is fetched."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from vinfo_mpi.config.schema import Data, Network
from vinfo_mpi.data.images import Images
from vinfo_mpi.data.loading import Loader
from vinfo_mpi.data.preprocessing import Preprocessing
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import architectures, libraries, readout

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (15, 20, 3), np.uint8)).resize(
    (320, 240)
)


def loaded(own):
    images = Images(lambda index: PICTURE, np.zeros(1, np.int64), np.zeros(1, bool), ["all"])
    preprocessing = Preprocessing.from_config(Data(), own)
    batches = Loader(images, preprocessing, torch.device("cpu")).batches([np.arange(1)])
    return next(iter(batches))[0][0]


def test_timm(tmp_path):
    import timm

    torch.manual_seed(0)
    network = architectures.build(Network(name="timm/test_resnet"), 7)
    assert network.num_classes == 7
    path = tmp_path / "w.pth"
    torch.save({"state_dict": network.state_dict()}, path)
    again = architectures.build(Network(name="timm/test_resnet", weights=str(path)), 7)
    images = torch.rand(2, 3, 160, 160)
    assert torch.equal(again(images), network(images))
    with pytest.raises(InputError, match=r"timm has no model 'resnet5'; did you mean 'resnet50'"):
        architectures.build(Network(name="timm/resnet5"), 7)
    squashed = "convnext_tiny.in12k_ft_in1k_384"
    for name in ("test_resnet", "efficientnet_b0", "vit_base_patch16_224", squashed):
        own = architectures.own_preprocessing(Network(name=f"timm/{name}", weights="pretrained"))
        config = timm.data.resolve_data_config(
            {}, pretrained_cfg=timm.get_pretrained_cfg(name).to_dict()
        )
        peer = timm.data.create_transform(**config)
        torch.testing.assert_close(loaded(own), peer(PICTURE), rtol=0, atol=1e-5)


def test_open_clip():
    clip = Network(name="open_clip/ViT-B-32", weights="laion2b_s34b_b79k")
    own = architectures.own_preprocessing(clip)
    assert (own.size, own.resize, own.interpolation) == ((224, 224), 224, "bicubic")
    assert own.mean == pytest.approx([0.4815, 0.4578, 0.4082], abs=1e-4)
    squashed = Network(name="open_clip/ViT-B-16-SigLIP", weights="webli")
    own = architectures.own_preprocessing(squashed)
    assert (own.resize, own.mean) == ((224, 224), [0.5] * 3)
    with pytest.raises(InputError, match="open_clip has no model 'ViT-B-33'; did you mean"):
        architectures.build(Network(name="open_clip/ViT-B-33"), 3)


def test_hugging_face(tmp_path):
    import transformers

    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        image_size=32, patch_size=16, num_labels=4,
    )  # fmt: skip
    peer = transformers.ViTForImageClassification(config).eval()
    peer.save_pretrained(tmp_path)
    processor = {"do_normalize": True, "do_resize": True, "size": {"height": 32, "width": 32},
                 "image_mean": [0.5] * 3, "image_std": [0.25] * 3, "resample": 3,
                 "image_processor_type": "ViTImageProcessor"}  # fmt: skip
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    options = Network(name=f"hf/{tmp_path}")
    network = architectures.build(options, 4)
    readout.attach(network, options, ["a", "b", "c", "d"])
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(network(images), peer(images).logits)
    own = architectures.own_preprocessing(options)
    assert (own.size, own.resize, own.interpolation) == ((32, 32), (32, 32), "bicubic")
    resized = np.asarray(PICTURE.resize((32, 32), Image.Resampling.BICUBIC)) / 255
    np.testing.assert_allclose(loaded(own).permute(1, 2, 0), (resized - 0.5) / 0.25, atol=1e-5)
    with pytest.raises(InputError, match="cannot be made from what is on this machine"):
        architectures.build(Network(name="hf/nobody/nothing"), 4)


def test_pictures_that_a_library_prepares_otherwise_are_refused(tmp_path):
    import timm
    import transformers

    transformers.MobileViTImageProcessor(do_flip_channel_order=True).save_pretrained(tmp_path)
    padded = next(
        name for name in timm.list_pretrained()
        if timm.get_pretrained_cfg(name).crop_mode == "border"
    )  # fmt: skip
    for network in (
        Network(name=f"hf/{tmp_path}"), Network(name=f"timm/{padded}", weights="pretrained")
    ):  # fmt: skip
        own = architectures.own_preprocessing(network)
        with pytest.raises(
            InputError, match=r"cannot say .* data\.normalised: true; or set data\.im"
        ):
            Preprocessing.from_config(Data(), own)
        said = Data(image_size=64, crop=0.9, interpolation="bicubic", mean=[0.5] * 3, std=[1.0] * 3)
        assert Preprocessing.from_config(said, own).resize == 71
        assert Preprocessing.from_config(Data(normalised=True), own).size == own.size


def test_a_library_that_is_not_there_is_told(monkeypatch):
    for library, (imported, installed) in libraries.PACKAGES.items():
        monkeypatch.setitem(sys.modules, imported, None)
        with pytest.raises(InputError, match=f"pip install {installed}"):
            architectures.build(Network(name=f"{library}/x"), 3)
