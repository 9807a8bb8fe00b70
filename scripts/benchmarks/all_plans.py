"""`make bench-plans`: the cost of every plan of the shipped networks, predicted and simulated.

Planning and generating are timed in processor seconds, user and system, of the whole command and
its processes. Each plan is then simulated on consecutive test digits, and every layer is compared.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from systolith import golden, hw, sim
from systolith.golden.files.whole_files import write_whole
from systolith.golden.network.shipped import names
from systolith.golden.reports.markdown import table
from systolith.scripts.benchmarks.measuring import command_seconds, machine
from systolith.scripts.calibration_split import calibration_images
from systolith.scripts.console import to_json
from systolith.scripts.plan_options import PRESETS

SCHEMA = "systolith.plans/1"
DIGITS = 20


@dataclass(frozen=True)
class Plan:
    """A network and the options that ask for a plan."""

    network: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """The result of a plan.

    Parameters
    ----------
    network, options
        The plan's.
    multipliers, memory_bits, mac_efficiency
        As in the manifest.
    interval_cycles, latency_cycles
        As predicted.
    measured_interval_cycles, measured_latency_cycles
        As simulated.
    as_predicted
        Whether these are equal, in every layer.
    bit_exact
        Whether every value of every layer was right.
    plan_seconds, generate_seconds
        Processor seconds of the commands.
    """

    network: str
    options: str
    multipliers: int
    memory_bits: int
    mac_efficiency: float
    interval_cycles: int
    latency_cycles: int
    measured_interval_cycles: int | None
    measured_latency_cycles: int | None
    as_predicted: bool | None
    bit_exact: bool
    plan_seconds: float
    generate_seconds: float


def plans() -> Iterator[Plan]:
    """All presets of every network, the largest also for least latency, and 106 multipliers."""
    for network in names():
        for preset in PRESETS:
            yield Plan(network, ("--preset", preset))
        yield Plan(network, ("--preset", PRESETS[-1], "--minimize", "latency"))
    yield Plan("lenet5-relu", ("--max-multipliers", "106"))


def measure(plan: Plan, quantized: Path, folder: Path, digits: int) -> Result:
    """Plan, generate and simulate."""
    hardware = folder / "-".join([plan.network, *plan.options]).replace("--", "")
    plan_file = hardware.with_suffix(".toml")
    plan_seconds = command_seconds("plan", str(quantized), *plan.options, "--out", str(plan_file))
    generate_seconds = command_seconds(
        "generate", str(quantized), "--plan", str(plan_file), "--out", str(hardware)
    )
    manifest = hw.load_manifest(hardware)
    report = sim.simulate(hardware, images=digits, engine="bulk")
    return Result(
        network=plan.network,
        options=" ".join(plan.options),
        multipliers=manifest.multipliers,
        memory_bits=manifest.memory_bits,
        mac_efficiency=round(manifest.mac_efficiency, 4),
        interval_cycles=manifest.predicted.interval_cycles,
        latency_cycles=manifest.predicted.latency_cycles,
        measured_interval_cycles=report.interval_cycles,
        measured_latency_cycles=report.latency_cycles,
        as_predicted=report.as_predicted,
        bit_exact=report.bit_exact,
        plan_seconds=round(plan_seconds, 1),
        generate_seconds=round(generate_seconds, 1),
    )


def to_markdown(results: Sequence[Result], digits: int) -> str:
    """A page that says what was measured and how."""
    introduction = (
        f"`make bench-plans`: every plan is generated, and simulated on {digits} consecutive test "
        "digits. Interval and latency are predicted, in clock cycles; the next column says whether "
        "the simulation measured the same, for the whole and for every layer, and the one after "
        "that whether every value of every layer was right. Seconds are the user and system "
        "seconds of the whole commands."
    )
    columns = (
        *("network", "`systolith plan` with", "multipliers", "interval", "latency", "as measured"),
        *("bit-exact", "MAC efficiency", "memory bits", "plan, CPU s", "generate, CPU s"),
    )
    rows = [
        (
            f"`{each.network}`",
            f"`{each.options}`",
            f"{each.multipliers:,}",
            f"{each.interval_cycles:,}",
            f"{each.latency_cycles:,}",
            "yes" if each.as_predicted else "no",
            "yes" if each.bit_exact else "no",
            f"{each.mac_efficiency:.3f}",
            f"{each.memory_bits:,}",
            f"{each.plan_seconds:.1f}",
            f"{each.generate_seconds:.1f}",
        )
        for each in results
    ]
    about = ", ".join(f"{name} {value}" for name, value in machine().items())
    return f"# Plans\n\n{introduction}\n\n{table(columns, rows, left=2)}\nMachine: {about}.\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write the results; returns 1 if a prediction or a value is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--digits", type=int, default=DIGITS, help="test digits a plan")
    parser.add_argument(
        "--out", type=Path, action="append", default=[], help="FILE.json or FILE.md to write"
    )
    options = parser.parse_args(arguments)
    for path in options.out:
        if path.suffix not in (".json", ".md"):
            parser.error(f"--out: must end with .json or .md, not {str(path)!r}")
    if options.digits < 10:
        parser.error(f"--digits: must be at least 10, not {options.digits}")
    results = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for network in names():
            quantized = golden.quantize(golden.load_network(network), calibration_images())
            quantized.save(folder / f"{network}.npz")
        for plan in plans():
            result = measure(plan, folder / f"{plan.network}.npz", folder, options.digits)
            print(json.dumps(asdict(result)), flush=True)
            results.append(result)
    text = to_markdown(results, options.digits)
    value = {
        "schema": SCHEMA,
        "digits": options.digits,
        "plans": [asdict(each) for each in results],
        "machine": machine(),
    }
    for path in options.out:
        write_whole(path, (to_json(value) if path.suffix == ".json" else text).encode())
    return 0 if all(each.as_predicted and each.bit_exact for each in results) else 1


if __name__ == "__main__":
    sys.exit(main())
