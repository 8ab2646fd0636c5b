"""Checkpoints of other implementations: what is imported computes what an independent rebuild of theirs computes."""

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.reference import ivanvovk, lmnt
from tests.reference.layers import State, random_state
from wavegrad.audio.presets import mel_preset
from wavegrad.checkpoint import Model, load_model, save_model
from wavegrad.checkpoint.importers import import_checkpoint
from wavegrad.diffusion import NoiseSchedule, named_schedule
from wavegrad.errors import CheckpointError, ConfigError
from wavegrad.vocoder import Vocoder

N_FRAMES = 3
LEVELS = torch.tensor([0.9991, 0.31], dtype=torch.float64)
LMNT_PARAMS = {
    "batch_size": 32,
    "learning_rate": 2e-4,
    "max_grad_norm": 1.0,
    "sample_rate": 22050,
    "hop_samples": 300,
    "crop_mel_frames": 24,
    "noise_schedule": [1e-4, 0.02, 0.3],
}
IVANVOVK_CONFIG: dict[str, Any] = {
    "model_config": {
        "factors": [4, 3, 2],
        "upsampling_preconv_out_channels": 20,
        "upsampling_out_channels": [18, 16, 14],
        "upsampling_dilations": [[1, 2, 4, 8], [1, 3, 1, 2], [2, 1, 2, 1]],
        "downsampling_preconv_out_channels": 6,
        "downsampling_out_channels": [8, 10],
        "downsampling_dilations": [[1, 2, 3], [1, 2, 3]],
    },
    "data_config": {
        "sample_rate": 16000,
        "n_fft": 64,
        "win_length": 48,
        "hop_length": 24,
        "f_min": 50.0,
        "f_max": 7000,
        "n_mels": 12,
    },
    "training_config": {"lr": 1e-3, "training_noise_schedule": {"n_iter": 10, "betas_range": [1e-5, 0.1]}},
}


@pytest.fixture(scope="session")
def lmnt_state() -> State:
    return random_state(lmnt.shapes(**lmnt.SMALL), seed=1)


@pytest.fixture(scope="session")
def ivanvovk_state() -> State:
    return random_state(ivanvovk.shapes(**lmnt.SMALL), seed=2)


@pytest.fixture
def lmnt_file(lmnt_state: State, tmp_path: Path) -> Path:
    return saved(tmp_path, {"step": 12000, "model": lmnt_state, "optimizer": {"state": {}}, "params": LMNT_PARAMS})


@pytest.fixture
def ivanvovk_file(ivanvovk_state: State, tmp_path: Path) -> Path:
    """As their training saves it: with the buffers of the schedule that was set last."""
    buffers = {name: torch.rand(50) for name in ivanvovk.BUFFERS}
    return saved(tmp_path, {"iteration": 9000, "model": buffers | ivanvovk_state, "optimizer": {}})


def saved(directory: Path, content: object) -> Path:
    path = directory / "weights.pt"
    torch.save(content, path)
    return path


def inputs(n_mels: int, n_samples: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(2, n_samples, generator=generator, dtype=torch.float64)
    return y, torch.randn(2, n_mels, N_FRAMES, generator=generator, dtype=torch.float64)


def doubled(state: State) -> State:
    return {name: tensor.double() for name, tensor in state.items()}


def test_the_references_have_the_published_sizes() -> None:
    """ivanvovk's README gives 15.810.401; lmnt has 128 bands instead of 80."""

    def size(shapes: dict[str, list[int]]) -> int:
        return sum(n_out * n_in * kernel + n_out for n_out, n_in, kernel in shapes.values())

    assert size(ivanvovk.shapes(**lmnt.PUBLISHED)) == 15_810_401
    assert size(lmnt.shapes(**lmnt.PUBLISHED)) == 15_920_993


def test_an_lmnt_network_computes_the_same(lmnt_file: Path, lmnt_state: State) -> None:
    """Measured: 2e-15 in float64, 2e-6 in float32."""
    network = import_checkpoint(lmnt_file, "lmnt").network
    y, mel = inputs(128, 300 * N_FRAMES)
    expected = lmnt.predict(doubled(lmnt_state), y, mel, LEVELS)
    assert 0.1 < expected.std() < 10
    with torch.no_grad():
        in_float32 = network(y.float(), mel.float(), LEVELS.float())
        exact = network.double()(y, mel, LEVELS)
    torch.testing.assert_close(exact, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(in_float32.double(), expected, rtol=0, atol=1e-5)


def test_an_ivanvovk_network_computes_the_same(ivanvovk_file: Path, ivanvovk_state: State) -> None:
    """In float64: in float32 the angles of the embedding, up to 5000, are rounded on either side."""
    network = import_checkpoint(ivanvovk_file, "ivanvovk").network.double()
    y, mel = inputs(80, 300 * N_FRAMES)
    expected = ivanvovk.predict(doubled(ivanvovk_state), mel, y, LEVELS)
    assert 0.1 < expected.std() < 10
    with torch.no_grad():
        torch.testing.assert_close(network(y, mel, LEVELS), expected, rtol=0, atol=1e-10)


def test_an_ivanvovk_network_of_its_own_configuration_computes_the_same(tmp_path: Path) -> None:
    widths = {"mel": 20, "waveform": 6, "up": (18, 16, 14), "down": (8, 10)}
    state = random_state(ivanvovk.shapes(**widths, n_mels=12), seed=3)
    (tmp_path / "config.json").write_text(json.dumps(IVANVOVK_CONFIG))
    model = import_checkpoint(saved(tmp_path, {"model": state}), "ivanvovk", tmp_path / "config.json")
    data = IVANVOVK_CONFIG["data_config"] | {"f_max": 7000.0}
    assert model.mel_config == replace(mel_preset("ivanvovk-22k"), **data)
    assert model.schedules["training"].betas == NoiseSchedule.linear(1e-5, 0.1, 10).betas
    y, mel = inputs(12, 24 * N_FRAMES)
    theirs = IVANVOVK_CONFIG["model_config"]
    expected = ivanvovk.predict(
        doubled(state), mel, y, LEVELS, theirs["factors"], theirs["upsampling_dilations"], (1, 2, 3)
    )
    with torch.no_grad():
        torch.testing.assert_close(model.network.double()(y, mel, LEVELS), expected, rtol=0, atol=1e-10)


def test_what_an_lmnt_model_is_made_of(lmnt_file: Path) -> None:
    model = import_checkpoint(lmnt_file, "lmnt")
    config = model.network.config
    assert model.mel_config == mel_preset("lmnt-22k")
    assert model.prior.kind == "standard"
    assert model.default_schedule == "training"
    assert model.schedules["training"].betas == (1e-4, 0.02, 0.3)
    assert {s.n_steps for s in model.schedules.values()} == {3, 6, 25, 50}
    assert (config.downsampling, config.upsampling, config.level_scale) == ("nearest", "nearest", 1.0)
    assert config.ublock_dilations == lmnt.DILATIONS
    assert "12,000 steps" in model.card
    assert str(lmnt_file.parent) not in model.card


def test_what_an_ivanvovk_model_is_made_of(ivanvovk_file: Path) -> None:
    """Its schedule is that of the training, not the one that was set when the file was written."""
    model = import_checkpoint(ivanvovk_file, "ivanvovk")
    config = model.network.config
    assert model.mel_config == mel_preset("ivanvovk-22k")
    assert model.schedules["training"].betas == named_schedule("wavegrad-training").betas
    assert (config.downsampling, config.upsampling, config.level_scale) == ("linear", "linear", 5000.0)
    assert "9,000 steps" in model.card


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {f"module.{k}": v for k, v in state.items()}])
def test_a_bare_state_dict_and_one_of_distributed_training_are_read(
    wrap: Callable[[State], State], lmnt_state: State, lmnt_file: Path, tmp_path: Path
) -> None:
    expected = import_checkpoint(lmnt_file, "lmnt").network.state_dict()
    model = import_checkpoint(saved(tmp_path, wrap(lmnt_state)), "lmnt")
    assert model.schedules["training"].betas == named_schedule("wavegrad-training").betas
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, expected[name])


def test_half_precision_is_widened_and_random_numbers_stay(lmnt_state: State, tmp_path: Path) -> None:
    path = saved(tmp_path, {name: tensor.half() for name, tensor in lmnt_state.items()})
    before = torch.get_rng_state()
    network = import_checkpoint(path, "lmnt").network
    assert torch.equal(torch.get_rng_state(), before)
    assert all(p.dtype == torch.float32 and p.requires_grad for p in network.parameters())


def test_the_stored_rate_and_hop_make_the_front_end(lmnt_state: State, tmp_path: Path) -> None:
    def with_params(**changes: object) -> Path:
        return saved(tmp_path, {"model": lmnt_state, "params": LMNT_PARAMS | changes})

    assert import_checkpoint(with_params(sample_rate=24000), "lmnt").mel_config == mel_preset("lmnt-24k")
    with pytest.raises(CheckpointError, match=r"5 x 5 x 3 x 2 x 2 = 300 .* hop of 256"):
        import_checkpoint(with_params(hop_samples=256), "lmnt")
    model = import_checkpoint(with_params(hop_samples=256), "lmnt", factors=(4, 4, 4, 2, 2))
    mel = model.mel_config
    assert (mel.hop_length, mel.win_length, mel.n_fft, mel.n_mels) == (256, 1024, 1024, 128)
    assert model.network.config.hop_length == 256


@pytest.mark.parametrize("layout", ["lmnt", "ivanvovk"])
def test_an_imported_model_is_saved_loaded_and_used(
    layout: str, lmnt_file: Path, ivanvovk_state: State, tmp_path: Path
) -> None:
    path = lmnt_file if layout == "lmnt" else saved(tmp_path, {"model": ivanvovk_state})
    model = import_checkpoint(path, layout)
    save_model(model, tmp_path / "model")
    _same(load_model(tmp_path / "model"), model)
    vocoder = Vocoder.from_pretrained(tmp_path / "model")
    mel = vocoder.mel(0.1 * torch.randn(1500, generator=torch.Generator().manual_seed(0)))
    waveform = vocoder(mel, NoiseSchedule((1e-3, 0.9999)))
    assert waveform.shape == (mel.shape[1] * 300,)
    assert torch.isfinite(waveform).all()


def _same(loaded: Model, model: Model) -> None:
    assert loaded.network.config == model.network.config
    assert (loaded.mel_config, loaded.prior, loaded.card) == (model.mel_config, model.prior, model.card)
    theirs = loaded.network.state_dict()
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(theirs[name], tensor)


class Code:
    """Unpickled without care, this would write a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, lmnt_state: State) -> None:
    path = saved(tmp_path, {"model": lmnt_state, "params": Code(tmp_path / "was run")})
    with pytest.raises(CheckpointError, match=r"refers to \S+; only tensors and plain values"):
        import_checkpoint(path, "lmnt")
    assert not (tmp_path / "was run").exists()


def test_files_that_are_no_checkpoints_are_refused(lmnt_file: Path, tmp_path: Path) -> None:
    def refused(content: bytes) -> None:
        path = tmp_path / "foreign.pt"
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"foreign\.pt is truncated or no PyTorch checkpoint"):
            import_checkpoint(path, "lmnt")

    data = lmnt_file.read_bytes()
    for content in (b"", b"RIFF not a checkpoint", data[:-100], data[: len(data) // 2], pickle.dumps([1, 2])[:-3]):
        refused(content)
    with pytest.raises(CheckpointError, match=r"nowhere\.pt cannot be read: No such file"):
        import_checkpoint(tmp_path / "nowhere.pt", "lmnt")
    with pytest.raises(CheckpointError, match=r"cannot be read: Is a directory"):
        import_checkpoint(tmp_path, "lmnt")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([1, 2], r"holds a list; a dictionary with the key 'model' is expected"),
        ({"generator": {}, "epoch": 3}, r"holds no weights: expected .* 'model', found generator, epoch"),
        ({"model": {}}, r"holds no weights"),
        ({"model": {"a": 3}}, r"holds no weights"),
        ({"model": {"a.weight": torch.zeros(2)}}, r"lmnt-com/wavegrad: expected first_conv\.weight, found a\.weight"),
    ],
)
def test_a_foreign_dictionary_is_refused(content: object, reason: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=reason):
        import_checkpoint(saved(tmp_path, content), "lmnt")


def test_the_other_layout_is_named(lmnt_file: Path, ivanvovk_state: State, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"expected nn\.ublock_preconv.*first_conv.*is a checkpoint of lmnt"):
        import_checkpoint(lmnt_file, "ivanvovk")
    with pytest.raises(CheckpointError, match=r"expected first_conv.*nn\.ublock_preconv.*is a checkpoint of ivanvovk"):
        import_checkpoint(saved(tmp_path, {"model": ivanvovk_state}), "lmnt")
    with pytest.raises(ConfigError, match=r"unknown layout 'lmtn': did you mean 'lmnt'"):
        import_checkpoint(lmnt_file, "lmtn")


FOREIGN = torch.zeros(3)


@pytest.mark.parametrize(
    ("layout", "change", "reason"),
    [
        ("lmnt", {"film.2.output_conv.bias": None}, r"it lacks film\.2\.output_conv\.bias"),
        ("lmnt", {"film.7.bias": FOREIGN}, r"with 5 upsampling factors: it has film\.7\.bias"),
        ("lmnt", {"film.1.input_conv.weight": FOREIGN}, r"film\.1\.input_conv\.weight has 1 axes, 3 are expected"),
        ("lmnt", {"last_conv.weight": torch.zeros(1, 10, 5)}, r"output_conv\.weight.*\(1, 10, 5\); \(1, 10, 3\)"),
        ("lmnt", {"first_conv.weight": torch.zeros(20, 80, 3)}, r"read 80 mel bands.*makes 128"),
        ("lmnt", {"first_conv.bias": torch.full((20,), torch.nan)}, r"first_conv\.bias has values that are not finite"),
        ("lmnt", {"downsample.0.bias": torch.zeros(5)}, r"channels are"),
        ("ivanvovk", {"nn.films.0.positional_encoding.pe": FOREIGN}, r"is from before October 2020"),
        ("ivanvovk", {"surplus": FOREIGN}, r"it has surplus"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    layout: str, change: State, reason: str, lmnt_state: State, ivanvovk_state: State, tmp_path: Path
) -> None:
    state = (lmnt_state if layout == "lmnt" else ivanvovk_state) | change
    path = saved(tmp_path, {"model": {name: tensor for name, tensor in state.items() if tensor is not None}})
    with pytest.raises(CheckpointError, match=reason):
        import_checkpoint(path, layout)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ([], r"'params' is a list"),
        ({"sample_rate": "fast"}, r"params: key sample_rate: expected a whole number, got 'fast'"),
        ({"noise_schedule": [0.1, 1.5]}, r"beta_2 .* is 1\.5"),
        ({"noise_schedule": []}, r"at least one beta"),
    ],
)
def test_stored_parameters_that_make_no_sense_are_refused(
    params: object, reason: str, lmnt_state: State, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=reason):
        import_checkpoint(saved(tmp_path, {"model": lmnt_state, "params": params}), "lmnt")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", r"config\.json is no valid JSON"),
        ("[]", r"is no configuration of ivanvovk/WaveGrad"),
        ('{"model_config": {}}', r"lacks data_config or model_config"),
        ('{"model_config": {"factors": [5, 5, 3, 2, "2"]}, "data_config": {}}', r"model_config: key factors\[4\]"),
        ('{"model_config": {"factors": [300]}, "data_config": {}}', r"with 1 upsampling factors|at least two"),
        (
            '{"model_config": {"downsampling_dilations": [[1, 2, 4], [1, 2, 3]]}, "data_config": {}}',
            r"must be the same for all blocks",
        ),
        ('{"model_config": {}, "data_config": {"n_mels": 100}}', r"read 80 mel bands.*makes 100"),
        ('{"model_config": {}, "data_config": [], "training_config": 3}', r"config\.json: .*expected a table"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(
    text: str, reason: str, ivanvovk_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=reason):
        import_checkpoint(ivanvovk_file, "ivanvovk", tmp_path / "config.json")
    with pytest.raises(CheckpointError, match=r"nothing\.json cannot be read"):
        import_checkpoint(ivanvovk_file, "ivanvovk", tmp_path / "nothing.json")


def test_a_configuration_file_is_for_ivanvovk_only(lmnt_file: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"carries its own parameters"):
        import_checkpoint(lmnt_file, "lmnt", tmp_path / "config.json")
