from __future__ import annotations

import json
from pathlib import Path

import pytest

from systolith.golden.errors import FileFormatError
from systolith.golden.reports.accuracy import SiliconEntry
from systolith.hw.verilog import artifacts
from systolith.scripts.rtl_folder import hardware_entry
from systolith.sim.report import SCHEMA
from tests.hw.silicon.synthesized import write_synthesis
from tests.scripts import tiny


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Hardware, and a simulation of it."""
    folder = tmp_path / "rtl"
    tiny.generate(folder)
    built = artifacts.load(folder)
    simulation = {
        "schema": SCHEMA,
        "bit_exact": True,
        "images": 2,
        "layers": [{"mismatches": 0}],
        "quantized_sha256": built.quantized.sha256,
        "plan_sha256": built.manifest.plan_sha256,
        "verilog_sha256": built.verilog_sha256,
    }
    (folder / "simulation.json").write_text(json.dumps(simulation))
    return folder


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_simulation_of_these_files_counts(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hardware_entry(folder, tiny.quantized()).bit_exact is True
    edit(folder / "simulation.json", images=1)
    assert hardware_entry(folder, tiny.quantized()).bit_exact is True
    (folder / "simulation.json").unlink()
    assert hardware_entry(folder, tiny.quantized()).bit_exact is None
    assert capsys.readouterr().err == ""


def test_a_synthesis_of_this_verilog_counts(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hardware_entry(folder, tiny.quantized()).silicon is None
    write_synthesis(folder)
    expected = SiliconEntry("ecp5-25k", 20, 91.5, "6")
    assert hardware_entry(folder, tiny.quantized()).silicon == expected
    assert capsys.readouterr().err == ""
    write_synthesis(folder, verilog_sha256="0" * 64)
    assert hardware_entry(folder, tiny.quantized()).silicon is None
    assert capsys.readouterr().err == (
        f"systolith: {folder}/synthesis.json: is of another tiny.v than that in the folder: "
        "reported as not synthesized\n"
    )


def test_hardware_of_another_network_of_the_same_name_is_refused(folder: Path) -> None:
    other = tiny.quantized(seed=2)
    assert other.name == tiny.quantized().name
    with pytest.raises(
        ValueError, match=rf"rtl: is hardware of tiny .*, not of tiny {other.sha256[:8]}"
    ):
        hardware_entry(folder, other)


def test_each_figure_is_that_of_the_manifest(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    found, predicted = hardware_entry(folder, tiny.quantized()), manifest["predicted"]
    assert (found.multipliers, found.interval_cycles, found.latency_cycles) == (
        *(manifest["multipliers"], predicted["interval_cycles"], predicted["latency_cycles"]),
    )
    assert len({found.multipliers, found.interval_cycles, found.latency_cycles}) == 3


def test_a_simulation_that_found_a_difference_is_not_bit_exact(folder: Path) -> None:
    edit(folder / "simulation.json", bit_exact=False, layers=[{"mismatches": 3}])
    assert hardware_entry(folder, tiny.quantized()).bit_exact is False


def test_a_synthesis_that_contradicts_the_hardware_is_refused(folder: Path) -> None:
    write_synthesis(folder, network="other")
    with pytest.raises(ValueError, match=r"synthesis\.json: \$\.network: is 'other'"):
        hardware_entry(folder, tiny.quantized())


@pytest.mark.parametrize(
    ("key", "file"), [("quantized", "tiny.npz"), ("plan", "plan.toml"), ("verilog", "tiny.v")]
)
def test_a_simulation_of_another_file_does_not_count(
    folder: Path, key: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(folder / "simulation.json", **{f"{key}_sha256": "0" * 64})
    assert hardware_entry(folder, tiny.quantized()).bit_exact is None
    assert capsys.readouterr().err == (
        f"systolith: {folder}/simulation.json: is of another {file} than that in the folder: "
        "reported as not simulated\n"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"layers": [{"mismatches": 0}, {"mismatches": 3}]},
        {"violations": ["C: moved"]},
        {"layer": "C"},
        {"images": 0},
        {"bit_exact": False},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_simulation_that_contradicts_itself_does_not_count(
    folder: Path, change: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    edit(folder / "simulation.json", **change)
    assert hardware_entry(folder, tiny.quantized()).bit_exact is None
    assert "or its counts contradict it: reported as not simulated" in capsys.readouterr().err


def test_a_simulation_that_does_not_say_of_what_does_not_count(folder: Path) -> None:
    content = json.loads((folder / "simulation.json").read_text())
    del content["plan_sha256"], content["verilog_sha256"]
    (folder / "simulation.json").write_text(json.dumps(content))
    assert hardware_entry(folder, tiny.quantized()).bit_exact is None


def test_other_verilog_is_refused(folder: Path) -> None:
    with (folder / "tiny.v").open("a") as file:
        file.write("// mine\n")
    with pytest.raises(ValueError, match=r"tiny\.v: is not the Verilog of manifest\.json"):
        hardware_entry(folder, tiny.quantized())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("multipliers", 1),
        ("macs", 1),
        ("mac_efficiency", 0.5),
        ("predicted", {"interval_cycles": 1, "latency_cycles": 1}),
        ("network", "other"),
    ],
)
def test_figures_that_do_not_follow_from_the_plan_are_refused(
    folder: Path, key: str, value: object
) -> None:
    edit(folder / "manifest.json", **{key: value})
    with pytest.raises(ValueError, match=rf"manifest\.json: {key} is .*, from the network and the"):
        hardware_entry(folder, tiny.quantized())


def test_another_plan_is_refused(folder: Path) -> None:
    (folder / "plan.toml").write_text("")
    with pytest.raises(FileFormatError, match=r"plan\.toml: is not the plan of manifest\.json"):
        hardware_entry(folder, tiny.quantized())
