"""`systolith run`: the whole flow, a short list of steps that each write one file."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from systolith.scripts.calibration_split import calibration_images
from systolith.scripts.commands.simulate import fail_unless_passed, print_report
from systolith.scripts.console import console, print_line, print_text
from systolith.scripts.options import folder_to_write, whole_number
from systolith.scripts.outputs import writing
from systolith.scripts.progress import Progress, progress

if TYPE_CHECKING:
    from systolith.golden import AccuracyReport, QuantizedNetwork, TrainedNetwork
    from systolith.hw import Manifest
    from systolith.sim import SimulationReport


def run(
    network: Annotated[
        str,
        typer.Option(metavar="NAME|all", help="lenet5, lenet5-sigmoid, lenet5-relu, or all three."),
    ] = "lenet5",
    images: Annotated[
        int,
        typer.Option(
            parser=whole_number("--images", 1), metavar="N", help="Test digits to simulate."
        ),
    ] = 100,
    out: Annotated[
        Path,
        typer.Option(
            parser=folder_to_write, metavar="DIR", help="The folder, with one for each network."
        ),
    ] = Path("systolith-out"),
) -> None:
    """Take a network from trained weights to Verilog that is simulated bit by bit.

    Quantizes to 8 bits, evaluates the float and the fixed-point network on the
    10,000 test digits, generates the accelerator, simulates it, and compares
    every value of every layer; report.html shows all of it. Ends with 1 unless
    all values are equal.

    [bold]Examples[/bold]

    systolith run
    systolith run --network all --images 10
    """
    from systolith.golden import test_digits
    from systolith.golden.network.shipped import names

    test_digits().take(images)
    if network != "all" and network not in names():
        raise ValueError(f"network {network!r}: allowed are {', '.join(names())} and all")
    chosen = names() if network == "all" else (network,)
    flows = [Flow(name, images, out / name) for name in chosen]
    for flow in flows:
        flow.run()
    for flow in flows:
        fail_unless_passed(flow.simulation)


@dataclass
class Flow:
    """The flow of one network, and the results that its steps pass on."""

    name: str
    images: int
    folder: Path
    trained: TrainedNetwork = field(init=False)
    quantized: QuantizedNetwork = field(init=False)
    accuracy: AccuracyReport = field(init=False)
    manifest: Manifest = field(init=False)
    simulation: SimulationReport = field(init=False)

    @property
    def hardware(self) -> Path:
        """The folder of the accelerator."""
        return self.folder / "rtl"

    @property
    def page(self) -> Path:
        """The page with figures."""
        return self.folder / "report.html"

    def run(self) -> None:
        """Take every step, and print the results."""
        self.folder.mkdir(parents=True, exist_ok=True)
        print_text(self.name, "bold")
        for step in STEPS:
            start = time.monotonic()
            with progress(f"{self.name}: {step.name}") as shown:
                path, finding = step.take(self, shown)
            seconds = time.monotonic() - start
            print_line(step.name, f"{finding} -> {path} ({seconds:.1f} s)")
        self._print_results()

    def quantize(self, _: Progress) -> tuple[Path, str]:
        """Quantize the network to integers."""
        from systolith import golden

        self.trained = golden.load_network(self.name)
        self.quantized = golden.quantize(self.trained, calibration_images())
        path = self.folder / f"{self.name}.npz"
        with writing(path):
            self.quantized.save(path)
        settings = self.quantized.settings.default
        return path, (
            f"weights of {settings.weight_bits} bits, feature maps of {settings.activation_bits}"
        )

    def evaluate_float(self, shown: Progress) -> tuple[Path, str]:
        """Measure the accuracy of the float network."""
        return self._evaluate(self.trained, "float.json", shown)

    def evaluate_fixed(self, shown: Progress) -> tuple[Path, str]:
        """Measure the accuracy of the fixed-point network."""
        path, finding = self._evaluate(self.quantized, "fixed.json", shown)
        return path, f"{finding}, {self.accuracy.agreement_with_float:.2%} as in float"

    def _evaluate(
        self, network: TrainedNetwork | QuantizedNetwork, file: str, shown: Progress
    ) -> tuple[Path, str]:
        from systolith import golden

        self.accuracy = golden.evaluate(network, golden.test_digits(), progress=shown)
        path = self.folder / file
        with writing(path):
            self.accuracy.save(path)
        return path, f"{self.accuracy.accuracy:.2%} of {self.accuracy.images:,} digits right"

    def generate(self, _: Progress) -> tuple[Path, str]:
        """Generate the Verilog."""
        from systolith import hw

        with writing(self.hardware):
            self.manifest = hw.generate(self.quantized, self.hardware)
        path = self.hardware / self.manifest.files.verilog
        return path, f"{self.manifest.multipliers} multipliers"

    def simulate(self, shown: Progress) -> tuple[Path, str]:
        """Compare the hardware with the fixed-point model."""
        from systolith import sim

        self.simulation = sim.simulate(
            self.hardware, images=self.images, progress=shown, announce=shown.announce
        )
        values = sum(layer.values for layer in self.simulation.layers)
        return self.hardware / "simulation.json", (
            f"{self.simulation.images} digits, {values:,} values compared"
        )

    def report(self, _: Progress) -> tuple[Path, str]:
        """Write the page with figures."""
        from systolith.golden import test_digits
        from systolith.golden.files.whole_files import write_whole
        from systolith.scripts.pages.evaluation_page import evaluation_page
        from systolith.scripts.rtl_folder import hardware_entry

        hardware = hardware_entry(self.hardware, self.quantized)
        page = evaluation_page(
            replace(self.accuracy, hardware=hardware), self.quantized, test_digits(), self.hardware
        )
        with writing(self.page):
            write_whole(self.page, page.encode())
        return self.page, "figures, values of every layer, one image through the layers"

    def _print_results(self) -> None:
        from systolith.golden import test_digits
        from systolith.scripts.digit import draw

        digits = test_digits()
        shown = console()
        shown.print()
        shown.print(draw(digits.images[0, :, :, 0], colour=shown.color_system is not None))
        print_line("digit", f"a {digits.labels[0]}; the hardware says {self.simulation.classes[0]}")
        shown.print()
        print_report(self.simulation)
        print_line("Verilog", self.hardware / self.manifest.files.verilog)
        self._print_next()
        print_line("report", self.page)

    def _print_next(self) -> None:
        program = "systolith" if shutil.which("systolith") else sys.argv[0]
        network = self.trained.network
        busiest = max(network.computing_layers(), key=lambda each: each[0].macs(each[1]))[0].name
        rtl, smaller = self.hardware, self.folder / "4-bit.npz"
        fewer = "--weight-bits 4 --activation-bits 4 --bias-correction"
        print_text("")
        print_text("Try next:")
        for command, why in (
            (f"simulate {rtl} --inject-fault {busiest}", "see the check fail"),
            (f"simulate {rtl} --images all", "all 10,000 digits in RTL"),
            (
                f"quantize {self.name} {fewer} --out {smaller}",
                "fewer bits, to evaluate, generate and simulate",
            ),
        ):
            print_text(f"  {program} {command}  # {why}")
        print_text("")


@dataclass(frozen=True)
class Step:
    """A step of a flow: returns the file that it wrote, and a finding in words."""

    name: str
    take: Callable[[Flow, Progress], tuple[Path, str]]


STEPS = (
    Step("quantize", Flow.quantize),
    Step("evaluate float", Flow.evaluate_float),
    Step("evaluate fixed", Flow.evaluate_fixed),
    Step("generate", Flow.generate),
    Step("simulate", Flow.simulate),
    Step("report", Flow.report),
)
