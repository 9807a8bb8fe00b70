"""The network as data, and its float and exact fixed-point models."""

from __future__ import annotations

if __name__ != "systolith.golden":
    raise ImportError("golden is a part of systolith: import systolith.golden")

import os

from systolith.golden.files import npz
from systolith.golden.files.datasets import (
    Dataset,
    DatasetReference,
    load_dataset,
    load_images,
    test_digits,
    validation_digits,
)
from systolith.golden.network.float_model import run as float_maps
from systolith.golden.network.graph import (
    Activation,
    AveragePooling,
    Convolution,
    Dense,
    Input,
    MaxPooling,
    Network,
    RadialBasis,
    Subsampling,
)
from systolith.golden.network.shipped import names
from systolith.golden.network.trained_network import TrainedNetwork, load_network
from systolith.golden.onnx.export import export_onnx
from systolith.golden.onnx.import_model import ImportedNetwork, import_onnx
from systolith.golden.onnx.preprocessing import Preprocessing
from systolith.golden.onnx.refusals import RefusedError
from systolith.golden.onnx.runtime_comparison import compare_with_runtime
from systolith.golden.qformat import QFormat
from systolith.golden.quantization import quantized_network
from systolith.golden.quantization.calibration import quantize, quantize_observed
from systolith.golden.quantization.observation import Observations, observe
from systolith.golden.quantization.quantized_network import QuantizedNetwork, fixed_maps
from systolith.golden.quantization.settings import LayerSettings, Settings
from systolith.golden.reports.accuracy import AccuracyReport
from systolith.golden.reports.comparison import Comparison, compare
from systolith.golden.reports.evaluation import evaluate


def load(name_or_path: str | os.PathLike[str]) -> TrainedNetwork | QuantizedNetwork:
    """A network that ships, by its name, or the trained or quantized network in a file.

    Raises
    ------
    FileFormatError
        The file holds neither, or is damaged.
    ValueError
        This is neither the name of a network nor a file.
    """
    if name_or_path not in names() and os.path.exists(name_or_path):
        kind = npz.read_schema(name_or_path).rpartition("/")[0]
        if kind == quantized_network.SCHEMA.rpartition("/")[0]:
            return QuantizedNetwork.load(name_or_path)
    return load_network(name_or_path)


__all__ = [
    "AccuracyReport",
    "Activation",
    "AveragePooling",
    "Comparison",
    "Convolution",
    "Dataset",
    "DatasetReference",
    "Dense",
    "ImportedNetwork",
    "Input",
    "LayerSettings",
    "MaxPooling",
    "Network",
    "Observations",
    "Preprocessing",
    "QFormat",
    "QuantizedNetwork",
    "RadialBasis",
    "RefusedError",
    "Settings",
    "Subsampling",
    "TrainedNetwork",
    "compare",
    "compare_with_runtime",
    "evaluate",
    "export_onnx",
    "fixed_maps",
    "float_maps",
    "import_onnx",
    "load",
    "load_dataset",
    "load_images",
    "load_network",
    "observe",
    "quantize",
    "quantize_observed",
    "test_digits",
    "validation_digits",
]
