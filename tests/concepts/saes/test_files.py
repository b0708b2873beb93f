"""Files of sparse autoencoders, against each library's formula in plain NumPy.

The layouts are those of SAELens 6.54, saev (schemas 0 and 2), dictionary_learning 0.1 and
Overcomplete 0.3; the latter's whole models are read without the library.
"""

import json
import sys
import types

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vinfo_mpi.concepts.saes import files
from vinfo_mpi.config.schema import Dictionary
from vinfo_mpi.errors import InputError

RANDOM = np.random.default_rng(0)
D, F, K = 7, 12, 3
X = RANDOM.normal(size=(50, D))
W_ENC, W_DEC = RANDOM.normal(size=(D, F)), RANDOM.normal(size=(F, D))
B_ENC, B_DEC = 0.3 * RANDOM.normal(size=F), 0.5 * RANDOM.normal(size=D)
THRESHOLD = RANDOM.uniform(0.2, 1, F)
GATE, MAGNITUDE, R = (0.4 * RANDOM.normal(size=F) for _ in range(3))
LENGTH = np.linalg.norm(W_DEC, axis=1)


def relu(values):
    return np.maximum(values, 0)


def largest(values, k=K):
    kept = np.argsort(-values, axis=1)[:, :k]
    codes = np.zeros_like(values)
    np.put_along_axis(codes, kept, np.take_along_axis(values, kept, 1), 1)
    return codes


def gated(x):
    magnitude = relu(np.exp(R) * (x @ W_ENC) + MAGNITUDE)
    return magnitude * (x @ W_ENC + GATE > 0)


def tensors(**arrays):
    return {name.replace("__", "."): torch.tensor(array) for name, array in arrays.items()}


def read(path, **options):
    return files.read(Dictionary(source="sae", sae=str(path), **options), D, "last")


def agrees(model, codes, atoms, offset):
    given = model.encoder(torch.from_numpy(X)).numpy()
    assert (codes != 0).any()
    np.testing.assert_allclose(given, codes, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(model.atoms.numpy(), atoms, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(model.offset.numpy(), offset, rtol=1e-9, atol=1e-9)


USUAL = tensors(W_enc=W_ENC, b_enc=B_ENC, W_dec=W_DEC, b_dec=B_DEC)
BEFORE = (X - B_DEC) @ W_ENC + B_ENC
RAW = X @ W_ENC + B_ENC
OF_GATED = {name: tensor for name, tensor in USUAL.items() if name != "b_enc"}
SAE_LENS = {
    "standard": ({}, USUAL, relu(BEFORE), W_DEC),
    "standard, input as it is": (
        {"architecture": "standard", "apply_b_dec_to_input": False},
        USUAL,
        relu(RAW),
        W_DEC,
    ),
    "topk": ({"architecture": "topk", "k": K}, USUAL, relu(largest(BEFORE)), W_DEC),
    "topk of earlier versions": (
        {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": K}},
        USUAL,
        relu(largest(BEFORE)),
        W_DEC,
    ),
    "topk, rescaled": (
        {"architecture": "topk", "k": K, "rescale_acts_by_decoder_norm": True},
        USUAL,
        relu(largest(BEFORE * LENGTH)),
        W_DEC / LENGTH[:, None],
    ),
    "jumprelu": (
        {"architecture": "jumprelu"},
        USUAL | tensors(threshold=THRESHOLD),
        relu(BEFORE) * (BEFORE > THRESHOLD),
        W_DEC,
    ),
    "gated": (
        {"architecture": "gated"},
        OF_GATED | tensors(b_gate=GATE, b_mag=MAGNITUDE, r_mag=R),
        gated(X - B_DEC),
        W_DEC,
    ),
}


@pytest.mark.parametrize("settings, state, codes, atoms", SAE_LENS.values(), ids=SAE_LENS)
def test_sae_lens(tmp_path, settings, state, codes, atoms):
    contiguous = {name: tensor.contiguous() for name, tensor in state.items()}
    save_file(contiguous, tmp_path / "sae_weights.safetensors")
    (tmp_path / "cfg.json").write_text(json.dumps({"d_in": D} | settings))
    agrees(read(tmp_path), codes, atoms, B_DEC)
    agrees(read(tmp_path / "sae_weights.safetensors"), codes, atoms, B_DEC)


OF_LINEAR = {"encoder__weight": W_ENC.T, "encoder__bias": B_ENC, "decoder__weight": W_DEC.T}
TOP_K = tensors(**OF_LINEAR, b_dec=B_DEC, k=K, threshold=0.4)
DICTIONARY_LEARNING = {
    "AutoEncoder": (
        tensors(**OF_LINEAR, bias=B_DEC), relu(BEFORE) * LENGTH, W_DEC / LENGTH[:, None],
    ),
    "AutoEncoderNew": (tensors(**OF_LINEAR, decoder__bias=B_DEC), relu(RAW), W_DEC),
    "AutoEncoderTopK": (TOP_K, largest(relu(BEFORE)), W_DEC),
    "BatchTopKSAE": (TOP_K, relu(BEFORE) * (BEFORE > 0.4), W_DEC),
    "MatryoshkaBatchTopKSAE": (
        USUAL | tensors(k=K, threshold=0.4), relu(BEFORE) * (BEFORE > 0.4), W_DEC,
    ),
    "JumpReluAutoEncoder": (
        USUAL | tensors(threshold=THRESHOLD), relu(RAW) * (RAW > THRESHOLD), W_DEC,
    ),
    "GatedAutoEncoder": (
        tensors(
            encoder__weight=W_ENC.T, decoder__weight=W_DEC.T, decoder_bias=B_DEC, gate_bias=GATE,
            mag_bias=MAGNITUDE, r_mag=R,
        ),
        gated(X - B_DEC),
        W_DEC,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", DICTIONARY_LEARNING)
def test_dictionary_learning(tmp_path, kind):
    state, codes, atoms = DICTIONARY_LEARNING[kind]
    torch.save(state, tmp_path / "ae.pt")
    if "k" not in state:
        agrees(read(tmp_path), codes, atoms, B_DEC)
    else:
        with pytest.raises(InputError, match=r"TopK and BatchTopK cannot be told; put its config"):
            read(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"trainer": {"dict_class": kind}}))
    agrees(read(tmp_path), codes, atoms, B_DEC)


@pytest.mark.parametrize(
    "header, codes",
    [
        ({"d_vit": D}, relu(BEFORE)),
        ({"schema": 2, "cfg": {"activation": {"cls": "Relu", "params": {}}}}, relu(RAW)),
        (
            {"schema": 2, "cfg": {"activation": {"cls": "TopK", "params": {"top_k": K}}}},
            largest(RAW),
        ),
    ],
)
def test_saev(tmp_path, header, codes):
    with (tmp_path / "sae.pt").open("wb") as file:
        file.write((json.dumps(header) + "\n").encode())
        torch.save(USUAL, file)
    agrees(read(tmp_path), codes, W_DEC, B_DEC)


class Layer(torch.nn.Module):
    """A module with these parameters, parts and attributes."""

    def __init__(self, parts=(), tensors=(), **attributes):
        super().__init__()
        for name, value in dict(parts).items():
            setattr(self, name, value)
        for name, value in dict(tensors).items():
            self.register_buffer(name, torch.as_tensor(value))
        vars(self).update(attributes)


@pytest.fixture
def save_whole(tmp_path, monkeypatch):
    """Return a function that saves a model of Overcomplete as a whole, by its class's name."""

    def save(kind, encoder, dictionary, state=(), **attributes):
        module = types.ModuleType("overcomplete.sae")

        def normalize_l2(values):
            raise AssertionError("reading runs nothing")

        normalize_l2.__module__, normalize_l2.__qualname__ = module.__name__, "normalize_l2"
        module.normalize_l2 = normalize_l2
        for name in (kind, "Part"):
            setattr(module, name, type(name, (Layer,), {"__module__": module.__name__}))
        layer = module.Part((), dictionary, normalization=normalize_l2, delta=0.5)
        encoder.__class__ = module.Part
        parts = {"encoder": encoder, "dictionary": layer}
        model = getattr(module, kind)(parts, state, **attributes)
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "overcomplete", types.ModuleType("overcomplete"))
            patch.setitem(sys.modules, "overcomplete.sae", module)
            torch.save(model, tmp_path / "whole.pt")
        torch.save(model.state_dict(), tmp_path / "state.pt")
        return tmp_path / "whole.pt"

    return save


def mlp(norm=None):
    linear = torch.nn.Linear(D, F).double()
    linear.weight.data, linear.bias.data = torch.tensor(W_ENC.T), torch.tensor(B_ENC)
    block = torch.nn.Sequential(linear, norm or torch.nn.Identity())
    return Layer({"final_block": block, "final_activation": torch.nn.ReLU()})


UNIT = W_DEC / (LENGTH[:, None] + 1e-8)
LAYER = {"_weights": W_DEC, "multiplier": np.float64(0.2)}
OVERCOMPLETE = {
    "SAE": ({}, {}, relu(RAW)),
    "TopKSAE": ({"top_k": K}, {}, largest(relu(RAW))),
    "BatchTopKSAE": (
        {"running_threshold": torch.tensor(0.5, dtype=torch.float64)},
        {},
        relu(RAW) * (RAW >= 0.5),
    ),
    "JumpSAE": (
        {},
        {"thresholds": np.log(THRESHOLD)},
        relu(RAW) * (RAW >= THRESHOLD),
    ),
}


@pytest.mark.parametrize("kind", OVERCOMPLETE)
def test_whole_models_of_overcomplete(save_whole, kind):
    attributes, state, codes = OVERCOMPLETE[kind]
    path = save_whole(kind, mlp(), LAYER, state, **attributes)
    agrees(read(path), codes, UNIT * np.exp(0.2), np.zeros(D))


def test_batch_normalisation_of_overcomplete_is_that_of_all_images(save_whole):
    norm = torch.nn.BatchNorm1d(F, eps=1e-3).double()
    with torch.no_grad():
        norm(torch.from_numpy(RAW))
    expected = norm.eval()(torch.from_numpy(RAW)).detach().numpy()
    path = save_whole("TopKSAE", mlp(norm), LAYER, top_k=K)
    agrees(read(path), largest(relu(expected)), UNIT * np.exp(0.2), np.zeros(D))


def test_archetypal_dictionaries_of_overcomplete(save_whole):
    points, share = RANDOM.normal(size=(20, D)), RANDOM.normal(size=(F, 20))
    relaxed = RANDOM.normal(size=(F, D))
    layer = {"C": points, "W": share, "Relax": relaxed, "multiplier": np.float64(0.1)}
    path = save_whole("RATopKSAE", mlp(), layer, top_k=K)
    convex = relu(share) / relu(share).sum(1, keepdims=True)
    within = relaxed * np.minimum(0.5 / np.linalg.norm(relaxed, axis=1, keepdims=True), 1)
    model = read(path)
    expected = (convex @ points + within) * np.exp(0.1)
    np.testing.assert_allclose(model.atoms.numpy(), expected, rtol=1e-6)
    with pytest.raises(InputError, match=r"archetypes without their delta.*torch\.save\(sae, path"):
        read(path.with_name("state.pt"), top_k=K)


def test_a_state_dict_of_overcomplete_needs_the_number_of_active_features(save_whole):
    path = save_whole("TopKSAE", mlp(), {"_weights": UNIT, "multiplier": 0.0}, top_k=K)
    state = path.with_name("state.pt")
    with pytest.raises(InputError, match=r"how many features are active at once; set dictionary\."):
        read(state)
    agrees(read(state, top_k=K), largest(relu(RAW)), UNIT, np.zeros(D))
    agrees(read(state, top_k=0), relu(RAW), UNIT, np.zeros(D))
    with pytest.raises(InputError, match=r"says 3, dictionary\.top_k 4; leave it out"):
        read(path, top_k=4)
    torch.save({**torch.load(state), "dictionary._weights": torch.tensor(W_DEC)}, state)
    with pytest.raises(InputError, match="normalised cannot be known from a state dict"):
        read(state, top_k=K)


def test_an_encoder_that_is_not_linear_is_refused(save_whole):
    path = save_whole("TopKSAE", mlp(torch.nn.LayerNorm(F)), LAYER, top_k=K)
    with pytest.raises(InputError, match=r"not a linear layer.* bring it as dictionary\.sae"):
        read(path)


REFUSED = {
    "another width": (
        {"b_dec": torch.zeros(D)},
        {},
        "encodes vectors of 5 numbers, but last has 7",
    ),
    "missing": (None, {}, r"lacks the tensor 'b_dec' \(it holds W_dec, W_enc, b_enc\)"),
    "NaN": ({"b_dec": torch.full((D,), torch.nan)}, {}, "holds NaN or infinity"),
    "shapes": (
        {"b_dec": torch.zeros(3)},
        {},
        r"shapes of its tensors do not match \(.*b_dec \(3,\)",
    ),
    "layer norm": ({}, {"normalize_activations": "layer_norm"}, "each vector by itself"),
    "scaling": (
        {},
        {"normalize_activations": "expected_average_only_in"},
        "by a factor that is not in the file",
    ),
    "architecture": ({}, {"architecture": "temporal"}, "'temporal' is not one of standard, topk"),
    "no k": ({}, {"architecture": "topk"}, "k of cfg.json is None"),
}


@pytest.mark.parametrize("changes, settings, sentence", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused(tmp_path, changes, settings, sentence):
    state = {name: tensor.contiguous() for name, tensor in USUAL.items()} | (changes or {})
    if changes is None:
        del state["b_dec"]
    if "5 numbers" in sentence:
        state |= {"W_enc": torch.ones(5, F), "b_dec": torch.zeros(5)}
    save_file(state, tmp_path / "sae_weights.safetensors")
    (tmp_path / "cfg.json").write_text(json.dumps({"architecture": "standard"} | settings))
    with pytest.raises(InputError, match=rf"^dictionary\.sae: [^\n]*{sentence}[^\n]*$"):
        read(tmp_path)


def test_files_that_are_none_are_refused(tmp_path):
    path = tmp_path / "sae.pt"
    with pytest.raises(InputError, match=r"sae\.pt does not exist; give a file, or a folder"):
        read(path)
    torch.save({"conv.weight": torch.ones(3)}, path)
    with pytest.raises(InputError, match=r"holds conv\.weight, which none of Overcomplete, SAEL"):
        read(path)
    torch.save([1, 2], path)
    with pytest.raises(InputError, match=r"holds a list; expected an autoencoder's weights"):
        read(path)
    path.write_bytes(b'{"schema": 2}\nno weights')
    with pytest.raises(InputError, match=r"after its first line there are no weights"):
        read(path)
    path.write_bytes(b"{schema")
    with pytest.raises(InputError, match=r"is not JSON"):
        read(path)
    save_file({"W_enc": torch.ones(D, F)}, tmp_path / "alone.safetensors")
    with pytest.raises(InputError, match=r"without its cfg\.json"):
        read(tmp_path / "alone.safetensors")


class Runs:
    """What would run something when it is unpickled."""

    def __reduce__(self):
        return (print, ("run",))


def test_nothing_of_a_file_is_run(tmp_path, capsys):
    torch.save({"dictionary._weights": torch.ones(2, D), "more": Runs()}, tmp_path / "sae.pt")
    with pytest.raises(InputError, match=r"reading it may run code"):
        read(tmp_path)
    assert "run" not in capsys.readouterr().out
