"""An ONNX graph under construction."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

OPSET = 18
Attribute = int | float | str | Sequence[int]
Shape = Sequence[int | str]
"""A name stands for a length that is known when the graph runs."""


class Graph:
    """Collects nodes and constants; values are their names."""

    def __init__(self) -> None:
        from onnx import helper, numpy_helper  # behind an extra

        self._helper, self._to_proto = helper, numpy_helper.from_array
        self._nodes: list[object] = []
        self._n_names = 0
        self._constants: dict[str, object] = {}
        self._weights: dict[int, str] = {}

    def op(self, kind: str, *inputs: str, attributes: Mapping[str, Attribute] | None = None) -> str:
        """Add a node with one output."""
        name = self._name(kind)
        node = self._helper.make_node(kind, list(inputs), [name], name)
        node.attribute.extend(self._helper.make_attribute(key, value) for key, value in (attributes or {}).items())
        self._nodes.append(node)
        return name

    def constant(self, value: np.ndarray | Tensor | Sequence[int] | Sequence[float] | int | float) -> str:
        """Floats become float32, whole numbers int64."""
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
        array = np.ascontiguousarray(array, np.float32 if array.dtype.kind == "f" else np.int64)
        name = f"constant_{len(self._constants)}"
        self._constants[name] = self._to_proto(array.reshape(np.shape(value)), name)
        return name

    def weight(self, value: Tensor) -> str:
        """A constant that is stored once, however often it is used."""
        key = value.data_ptr()
        if key not in self._weights:
            self._weights[key] = self.constant(value)
        return self._weights[key]

    def slice(self, x: str, axis: int, start: int, end: int = torch.iinfo(torch.int64).max, step: int = 1) -> str:
        """x[start:end:step] along an axis."""
        bounds = (self.constant([n]) for n in (start, end, axis, step))
        return self.op("Slice", x, *bounds)

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        """0 keeps a length, -1 is what is left."""
        return self.op("Reshape", x, self.constant(shape))

    def repeat(self, n: int, body: Callable[..., Sequence[str]], *state: str) -> list[str]:
        """n times `state = body(*state)`, as an ONNX Loop.

        Args:
            n: passes.
            body: adds the nodes of one pass, which may read values from outside; none of what it returns may be a value
                that it was given.
            state: floats.
        """
        from onnx import TensorProto

        helper, outside = self._helper, self._nodes
        self._nodes = []
        index, going_on, *before = (self._name(kind) for kind in ("pass", "condition", *["state"] * len(state)))
        after = [self.op("Identity", going_on), *body(*before)]
        index_info = helper.make_tensor_value_info(index, TensorProto.INT64, ())

        def infos(names: list[str]) -> list[object]:
            first = helper.make_tensor_value_info(names[0], TensorProto.BOOL, ())
            return [first, *(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names[1:])]

        graph = helper.make_graph(self._nodes, "body", [index_info, *infos([going_on, *before])], infos(after))
        self._nodes = outside
        names = [self._name("loop") for _ in state]
        self._nodes.append(helper.make_node("Loop", [self.constant(n), "", *state], names, names[0], body=graph))
        return names

    def model(
        self,
        inputs: Mapping[str, Shape],
        output: tuple[str, str, Shape],
        metadata: Mapping[str, str],
    ) -> bytes:
        """The finished file.

        Args:
            inputs: names and shapes, float32.
            output: the value, the name that it gets, and its shape.
            metadata: for whoever opens it.
        """
        from onnx import TensorProto, checker

        helper = self._helper
        value, name, shape = output
        nodes = [*self._nodes, helper.make_node("Identity", [value], [name])]
        graph = helper.make_graph(
            nodes,
            "wavegrad",
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, dims) for key, dims in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)],
            list(self._constants.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        helper.set_model_props(model, dict(metadata))
        checker.check_model(model, full_check=True)
        return model.SerializeToString()

    def _name(self, kind: str) -> str:
        self._n_names += 1
        return f"{kind.lower()}_{self._n_names - 1}"
