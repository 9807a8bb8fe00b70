"""The limits in the documents are those of the code: neither changes without the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from systolith.golden import qformat
from systolith.golden.files import csv_features, idx, json_files, npz, picture_decoding, toml_files
from systolith.golden.fixed import arithmetic
from systolith.golden.network import graph, graph_json
from systolith.golden.onnx.model import onnx_reading, onnx_tensors
from systolith.golden.onnx.translation import call, graph_walk
from systolith.golden.quantization import entropy, settings
from systolith.golden.reports import accuracy, paired_difference
from systolith.scripts.comparing import report_sources
from systolith.scripts.pages import changed_images, evaluation_page
from systolith.scripts.sweeping import sweep_folder, variations
from systolith.sim import report

_DOCS = Path(__file__).parents[3] / "docs"

_NUMBER = r"(-?[\d.,]*\d)"


@pytest.mark.parametrize(
    ("document", "sentence", "limits"),
    [
        ("limits", "at most # layers", [graph_json.MAX_LAYERS]),
        ("limits", "each size is at most #.", [graph_json.MAX_SIZE]),
        (
            "limits",
            "another format of 1 to # bits and # to # fraction bits",
            [graph.MAX_INPUT_BITS, -graph.MAX_INPUT_FRAC_BITS, graph.MAX_INPUT_FRAC_BITS],
        ),
        (
            "limits",
            "| weights, feature maps | # to # bits |",
            [settings.MIN_BITS, settings.MAX_BITS],
        ),
        ("limits", "| index of an activation table | 2 to # bits |", [arithmetic.MAX_INDEX_BITS]),
        ("limits", "| accumulators | exact, at most # bits |", [qformat.MAX_BITS]),
        ("onnx", "half of the largest divisor, 2^#,", [arithmetic.MAX_SHIFT - 1]),
        ("limits", "A file of at most # GiB is read", [idx.MAX_BYTES / 2**30]),
        ("limits", "A file of at most # GiB is read", [npz.MAX_BYTES / 2**30]),
        ("limits", "TOML of at most # MiB", [toml_files.MAX_BYTES / 2**20]),
        (
            "limits",
            "Numbers on the command line are at most 2**#.",
            [json_files.MAX_COUNT.bit_length() - 1],
        ),
        *(
            ("limits", "that of a sweep of at most # MiB", [module._MAX_BYTES / 2**20])
            for module in (accuracy, report, sweep_folder)
        ),
        ("files", "UTF-8, at most # MiB", [csv_features.MAX_BYTES / 2**20]),
        (
            "files",
            "of at most # MiB, 2**# pixels and # pixels a side",
            [
                picture_decoding.MAX_BYTES / 2**20,
                picture_decoding.MAX_PIXELS.bit_length() - 1,
                picture_decoding.MAX_SIDE,
            ],
        ),
        ("import", "Of a batch of more than #,", [graph_walk.MOST_IMAGES]),
        ("import", "each file of weights may have # MB", [onnx_tensors.MAX_BYTES / 2**20]),
        ("import", "A model may have # nodes", [onnx_reading.MAX_NODES]),
        (
            "import",
            "feature maps of # values, # weights in all",
            [call.MAX_VALUES, call.MAX_WEIGHTS],
        ),
        ("quantization", "`entropy` uses at most # bins", [2**entropy._MOST_BITS]),
        ("files", "(`clipped_channels`) more than # %", [100 * accuracy.CLIPPED_SHARE]),
        ("reports", "a probability below #", [paired_difference.LEVEL]),
        ("reports", "each layer's values (of # images)", [evaluation_page.SAMPLED_IMAGES]),
        ("reports", "`compare` takes up to # of these", [report_sources.MOST_REPORTS]),
        ("reports", "**changed class**, at most #:", [changed_images.MOST_IMAGES]),
        ("sweeps", "there may be #.", [variations.MOST_POINTS]),
    ],
)
def test_a_documented_limit_is_that_of_the_code(
    document: str, sentence: str, limits: list[float]
) -> None:
    text = " ".join((_DOCS / f"{document}.md").read_text().split())
    found = re.search(re.escape(sentence).replace(r"\#", _NUMBER), text)
    assert found is not None, sentence
    assert [float(number.replace(",", "")) for number in found.groups()] == limits
