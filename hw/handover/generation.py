"""Generates an accelerator's folder with everything that is handed over."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from systolith.golden.files.datasets import Dataset
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.golden.reports.accuracy import AccuracyReport
from systolith.hw.folding import Plan
from systolith.hw.handover.datasheet import datasheet_facts
from systolith.hw.handover.rendering import render
from systolith.hw.handover.vectors import Vectors, hex_file, make_vectors
from systolith.hw.planning.budget import Goal
from systolith.hw.streams.input_layout import StreamEntry
from systolith.hw.streams.result_layout import (
    ResultKind,
    default_result,
    hex_text,
    result_layout,
)
from systolith.hw.verilog import artifacts
from systolith.hw.verilog.artifacts import Artifacts, Handover
from systolith.hw.verilog.manifest import Manifest

DEFAULT_MHZ = 100.0
"""The frequency of the clock in constraints, in MHz, unless another one is asked for."""

_BENCH = "tb"
_TEMPLATES = {
    "{stem}.core": "accelerator.core",
    "{stem}.f": "accelerator.f",
    "{stem}.sdc": "clock.sdc",
    "{stem}.xdc": "clock.sdc",
    "{stem}.ys": "yosys.ys",
    "{stem}.tcl": "vivado.tcl",
    "{stem}.vh": "instance.vh",
    "datasheet.md": "datasheet.md",
    f"{_BENCH}/{{stem}}_tb.v": "bench.v",
    f"{_BENCH}/{{stem}}_tb.f": "bench.f",
    f"{_BENCH}/Makefile": "bench.mk",
}
"""The files, and the template of each."""


def generate(
    quantized: QuantizedNetwork,
    out: str | os.PathLike[str],
    plan: Plan | None = None,
    name: str | None = None,
    goal: Goal | None = None,
    *,
    dataset: Dataset | None = None,
    report: AccuracyReport | None = None,
    mhz: float = DEFAULT_MHZ,
    result: ResultKind | None = None,
) -> Manifest:
    """Write the accelerator of a quantized network to a folder: whole, or not at all.

    Beside the Verilog and what simulation reads (`verilog.artifacts.generate`), the folder has a
    test bench, a data sheet, and files for other tools.

    Parameters
    ----------
    quantized, out, plan, name, goal
        As for `verilog.artifacts.generate`.
    dataset
        The images of the test bench are its first ones. By default the test digits for networks
        that were trained on MNIST, and random values for others.
    report
        The report of this network, whose accuracy the data sheet states.
    mhz
        The frequency of the clock in constraints and data sheet, in MHz.
    result
        As for `verilog.artifacts.generate`.

    Raises
    ------
    ValueError
        The images have another shape than the network takes, the report is of another network, or
        there is no such kind of result.
    UnitError, AcceleratorError, PlanError, FolderError, OSError
        As `verilog.artifacts.generate`.
    """
    if report is not None and report.network_sha256 != quantized.sha256:
        raise ValueError(
            f"the report is of {report.network} {report.network_sha256[:8]}, not of "
            f"{quantized.name} {quantized.sha256[:8]}"
        )
    kind = result or default_result(quantized.fixed.network)
    vectors = make_vectors(quantized, dataset, result_layout(quantized.fixed.layers[-1], kind))

    def hand_over(built: Artifacts) -> Handover:
        return _hand_over(built, vectors, report, mhz)

    return artifacts.generate(quantized, out, plan, name, goal, hand_over, kind)


def _hand_over(
    built: Artifacts, vectors: Vectors, report: AccuracyReport | None, mhz: float
) -> Handover:
    """The files for other tools."""
    manifest = built.manifest
    stem = Path(manifest.files.verilog).stem
    streams = list(_streams(built))
    contents = {
        stream["file"]: hex_file(
            vectors.outputs.get(stream["name"], vectors.images), stream["bits"], stream["lanes"]
        )
        for stream in streams
    }
    contents["results.hex"] = "".join(
        f"{hex_text(beat)}\n" for result in vectors.results for beat in result
    ).encode()
    facts = {
        "top": manifest.top,
        "stem": stem,
        "network": manifest.network,
        "sha256": manifest.quantized_sha256,
        "verilog": manifest.files.verilog,
        "vlnv": f"systolith:accelerators:{manifest.top}:{_version()}",
        "ports": manifest.ports,
        "result": manifest.result,
        "input": manifest.input,
        "images": len(vectors.images),
        "source": vectors.source,
        "input_beats": streams[0]["beats"],
        "interval": manifest.predicted.interval_cycles,
        "latency": manifest.predicted.latency_cycles,
        "streams": streams,
        "vector_files": list(contents),
        "mhz": f"{mhz:g}",
        "period": f"{1000 / mhz:.3f}",
        **datasheet_facts(built, report, mhz),
    }
    files = {f"{_BENCH}/{file}": content for file, content in contents.items()}
    for file, template in _TEMPLATES.items():
        files[file.format(stem=stem)] = render(template, facts)
    return Handover(vectors.source, files)


def _streams(built: Artifacts) -> Iterator[dict[str, Any]]:
    """The streams after the input and every layer, as the test bench checks them."""
    pixels = built.quantized.fixed.network.input
    shapes = {pixels.name: pixels.image_shape}
    shapes |= {layer.name: layer.output_shape for layer in built.quantized.fixed.layers}
    beats: dict[str, StreamEntry] = {pixels.name: built.manifest.input}
    beats |= {layer.name: layer.stream for layer in built.manifest.layers}
    for number, (name, shape) in enumerate(shapes.items()):
        stream = beats[name]
        yield {
            "name": name,
            # Two names may differ in upper and lower case alone, or be too long for a file.
            "file": f"{number:02}_{name[:60]}.hex" if number else "images.hex",
            "width": shape.width,
            "channels": shape.channels,
            "beats": shape.size // stream.lanes,
            "lanes": stream.lanes,
            "bits": stream.bits,
            "signed": int(stream.signed),
        }


def _version() -> str:
    """The version of this program, as cores have them: numbers alone."""
    found = re.match(r"\d+(\.\d+)*", metadata.version("systolith"))
    return found[0] if found else "0"
