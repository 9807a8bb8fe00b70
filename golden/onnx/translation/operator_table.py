"""The supported operators and their attributes, and why others are not supported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from numpy.polynomial.polynomial import polyadd, polymul

from systolith.golden.onnx.model.onnx_graph import Values
from systolith.golden.onnx.translation import activation_operators as activation
from systolith.golden.onnx.translation import elementwise_operators as elementwise
from systolith.golden.onnx.translation import pooling_operators as pooling
from systolith.golden.onnx.translation import weighted_operators as weighted
from systolith.golden.onnx.translation.call import Call, Signal
from systolith.golden.onnx.translation.moving_operators import MOVERS, moved
from systolith.golden.onnx.translation.padding_operator import pad


@dataclass(frozen=True)
class Operator:
    """How a node that depends on the image is translated, and the attributes that it may have."""

    take: Callable[[Call], Values | Signal]
    attributes: tuple[str, ...] = ()


_WINDOW = ("kernel_shape", "strides", "pads", "auto_pad", "dilations")
_POOL = (*_WINDOW, "ceil_mode", "storage_order")
_LEGACY = ("axis", "broadcast", "consumed_inputs")
# The defaults that ONNX gives, as float32.
_SELU_ALPHA, _SELU_GAMMA = 1.67326319217681884765625, 1.05070102214813232421875
_REDUCE = ("axes", "keepdims", "noop_with_empty_axes")


def _first(*takes: Callable[[Call], Signal | None]) -> Callable[[Call], Signal]:
    """What the first that does not give None makes of a node; the last one never does."""

    def take(call: Call) -> Signal:
        return next(made for each in takes if (made := each(call)) is not None)

    return take


OPERATORS: Mapping[str, Operator] = MappingProxyType(
    {
        "Add": Operator(_first(activation.polynomial(polyadd), elementwise.add), _LEGACY),
        "ArgMax": Operator(elementwise.arg_max, ("axis", "keepdims", "select_last_index")),
        "AveragePool": Operator(pooling.average_pool, (*_POOL, "count_include_pad")),
        "BatchNormalization": Operator(
            elementwise.batch_normalization,
            ("epsilon", "momentum", "spatial", "is_test", "training_mode", "consumed_inputs"),
        ),
        "Cast": Operator(moved, ("to", "saturate", "round_mode")),
        "Abs": Operator(activation.plain("abs"), ("consumed_inputs",)),
        "Celu": Operator(activation.with_parameters("celu", alpha=1.0), ("alpha",)),
        "Clip": Operator(activation.clip, ("min", "max", "consumed_inputs")),
        "Elu": Operator(activation.with_parameters("elu", alpha=1.0), ("alpha", "consumed_inputs")),
        "Erf": Operator(activation.plain("erf")),
        "Exp": Operator(activation.plain("exp"), ("consumed_inputs",)),
        "Gelu": Operator(activation.gelu, ("approximate",)),
        "HardSigmoid": Operator(
            activation.with_parameters("hard_sigmoid", alpha=0.2, beta=0.5),
            ("alpha", "beta", "consumed_inputs"),
        ),
        "HardSwish": Operator(activation.plain("hard_swish")),
        "LeakyRelu": Operator(
            activation.with_parameters("leaky_relu", alpha=0.01), ("alpha", "consumed_inputs")
        ),
        "Mish": Operator(activation.plain("mish")),
        "PRelu": Operator(activation.prelu, ("consumed_inputs",)),
        "Selu": Operator(
            activation.with_parameters("selu", alpha=_SELU_ALPHA, gamma=_SELU_GAMMA),
            ("alpha", "gamma", "consumed_inputs"),
        ),
        "Softplus": Operator(activation.plain("softplus")),
        "Softsign": Operator(activation.plain("softsign")),
        "Sqrt": Operator(activation.plain("sqrt"), ("consumed_inputs",)),
        "Swish": Operator(activation.with_parameters("swish", alpha=1.0), ("alpha",)),
        "ThresholdedRelu": Operator(
            activation.with_parameters("thresholded_relu", alpha=1.0), ("alpha",)
        ),
        "Conv": Operator(weighted.conv, (*_WINDOW, "group")),
        "Div": Operator(_first(activation.divided, elementwise.divide), _LEGACY),
        "Dropout": Operator(moved, ("ratio", "seed", "is_test")),
        "Expand": Operator(moved),
        "Flatten": Operator(moved, ("axis",)),
        "Gather": Operator(moved, ("axis",)),
        "Gemm": Operator(weighted.gemm, ("alpha", "beta", "transA", "transB", "broadcast")),
        "GlobalAveragePool": Operator(pooling.global_average_pool),
        "GlobalMaxPool": Operator(pooling.global_max_pool),
        "Identity": Operator(moved),
        "Log": Operator(elementwise.log),
        "LogSoftmax": Operator(elementwise.softmax, ("axis",)),
        "MatMul": Operator(weighted.matmul),
        "Max": Operator(activation.maximum, ("consumed_inputs",)),
        "MaxPool": Operator(pooling.max_pool, _POOL),
        "Mul": Operator(
            _first(activation.gated, activation.polynomial(polymul), elementwise.multiply), _LEGACY
        ),
        "Neg": Operator(elementwise.negate),
        "Pad": Operator(pad, ("mode", "pads", "value", "paddings")),
        "Pow": Operator(activation.power, _LEGACY),
        "ReduceMax": Operator(pooling.reduce_max, _REDUCE),
        "ReduceMean": Operator(pooling.reduce_mean, _REDUCE),
        "Relu": Operator(activation.plain("relu"), ("consumed_inputs",)),
        "Reshape": Operator(moved, ("shape", "allowzero")),
        "Sigmoid": Operator(activation.plain("sigmoid"), ("consumed_inputs",)),
        "Slice": Operator(moved, ("starts", "ends", "axes")),
        "Softmax": Operator(elementwise.softmax, ("axis",)),
        "Squeeze": Operator(moved, ("axes",)),
        "Sub": Operator(elementwise.subtract, _LEGACY),
        "Tanh": Operator(activation.plain("tanh"), ("consumed_inputs",)),
        "Transpose": Operator(moved, ("perm",)),
        "Unsqueeze": Operator(moved, ("axes",)),
    }
)
"""By name, the operators that are taken where they depend on the image."""

AFTER_THE_END = frozenset({*MOVERS, "ArgMax", "Log", "Softmax", "LogSoftmax"})
"""The operators that may follow one that ends a classifier."""

COUNTS_IMAGES = frozenset({"Expand", "Gather", "Pad", "Shape", "Size", "Slice"})
"""The operators whose result may depend on the size of a batch, or on an image's place in it."""

IDLE_OUTPUTS = frozenset({"Dropout", "MaxPool"})
"""The operators whose further outputs mean nothing where they are not read.

Those of a BatchNormalization of old operator sets say that it is training.
"""

CONTROL_FLOW = ("If", "Loop", "Scan")
"""The operators that have graphs as attributes, which read tensors of the graph around them."""

_QUANTIZED = ("scales that a file gives are not read", "import the float network and quantize it")
_ACTIVATION = ("is no activation that is built", "train with another")
_JOIN = ("joins or splits feature maps: branches are not built", "a chain of layers")
_ENLARGE = ("nothing makes a map larger", "")
_FLOW = ("control flow and functions are not read", "export the network without them")

_REASONS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(
        (
            *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger"),
            *("MatMulInteger", "QLinearConv", "QLinearMatMul", "QLinearAdd", "Quant"),
            *("BipolarQuant", "Trunc", "IntQuant"),
        ),
        _QUANTIZED,
    ),
    **dict.fromkeys(
        ("Acos", "Asinh", "Atan", "Ceil", "Cos", "Floor", "Reciprocal", "Round", "Shrink"),
        _ACTIVATION,
    ),
    **dict.fromkeys(("Concat", "Split", "Sum", "Mean", "Min", "Where"), _JOIN),
    **dict.fromkeys(
        ("Resize", "Upsample", "ConvTranspose", "DepthToSpace", "Tile", "MaxUnpool"), _ENLARGE
    ),
    **dict.fromkeys(CONTROL_FLOW, _FLOW),
}

SAME_SHAPE = frozenset(
    name for name, why in _REASONS.items() if why == _ACTIVATION or name.endswith("Linear")
)
"""Unsupported operators that preserve the shape, so that later nodes can still be checked."""


def why_not(operator: str, domain: str) -> tuple[str, str]:
    """Why an operator is not supported, and what to do about it."""
    if operator in _REASONS:
        return _REASONS[operator]
    if domain:
        return "is none of ONNX's own operators", ""
    return "no layer computes it", ""
