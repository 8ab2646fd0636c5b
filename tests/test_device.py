"""Which precision "auto" is, on processors and GPUs of all kinds, and that tests are not given another device."""

import os

import pytest
import torch

from wavegrad.device import Precision, choose_device, choose_precision, has_bfloat16
from wavegrad.errors import ConfigError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_a_test_is_given_no_gpu():
    """Nor are the commands that it starts; on a machine with a GPU those of `vocode` took it, and int8 failed."""
    assert choose_device("auto") == CPU
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"architecture": "x86_64", "avx512_vnni": True, "avx512_bf16": True, "amx_bf16": False}, "bfloat16"),
        ({"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": True}, "bfloat16"),
        ({"architecture": "x86_64", "avx512_vnni": True, "avx512_bf16": False, "amx_bf16": False}, "float32"),
        ({"architecture": "x86_64", "avx2": True}, "float32"),
        ({"architecture": "aarch64", "bf16": True, "sve_bf16": True}, "float32"),
    ],
)
def test_on_a_cpu_it_is_bfloat16_where_x86_has_units_for_it(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert choose_precision("auto", CPU) == expected


def test_on_a_gpu_it_is_bfloat16_where_that_is_not_emulated(monkeypatch):
    """PyTorch counts emulation in: then a V100 or T4 would be slower than in float32. The processor beside it is
    asked nothing."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", None)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.current_device", lambda: 0)
    monkeypatch.setattr("torch.cuda._check_bf16_tensor_supported", lambda device: True, raising=False)
    for major, expected in ((7, "float32"), (8, "bfloat16"), (9, "bfloat16"), (12, "bfloat16")):
        properties = type("Properties", (), {"major": major})
        monkeypatch.setattr("torch.cuda.get_device_properties", lambda device, p=properties: p)
        assert choose_precision("auto", CUDA) == expected


def test_of_other_devices_nothing_is_known(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert not has_bfloat16(torch.device("meta"))


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16", "int8"])
@pytest.mark.parametrize("units", [True, False])
def test_other_names_stay(monkeypatch, name: Precision, units):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": units})
    assert choose_precision(name, CPU) == name


def test_a_name_of_nothing():
    with pytest.raises(ConfigError, match="unknown precision 'bfloat': did you mean 'bfloat16'"):
        choose_precision("bfloat", CPU)
