"""Networks small enough to compute exactly: those of the network's own tests; and onnxruntime."""

import onnxruntime
import torch
from torch import Tensor

from tests.network.conftest import make

__all__ = ["make", "run", "session"]


def session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(model: onnxruntime.InferenceSession, **inputs: Tensor) -> Tensor:
    return torch.from_numpy(model.run(None, {name: value.numpy() for name, value in inputs.items()})[0])
