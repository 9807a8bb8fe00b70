"""`systolith run`: the whole flow, a short list of steps that each write one file."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from systolith.scripts.calibration_split import named_calibration, split, test_images
from systolith.scripts.commands.simulate import engines_in_words, fail_unless_passed, print_report
from systolith.scripts.console import console, print_line, print_text
from systolith.scripts.options import LabelColumnOption, folder_to_write, whole_number
from systolith.scripts.outputs import require_apart, writing
from systolith.scripts.plan_options import ResultOption
from systolith.scripts.progress import Progress, progress

if TYPE_CHECKING:
    from systolith.golden import AccuracyReport, Dataset, QuantizedNetwork, TrainedNetwork
    from systolith.golden.qformat import RawImages
    from systolith.hw import Manifest, ResultKind
    from systolith.sim import SimulationReport

_DEFAULT_IMAGES = 100


def run(
    network: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE|all",
            help="lenet5, lenet5-sigmoid, lenet5-relu, a file of trained weights, or all three "
            "that ship.",
        ),
    ] = "lenet5",
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Images: .npz, IDX, a folder of pictures or a .csv file, with labels or without. "
            "Needed unless the network was trained on MNIST.",
            show_default="validation and test digits",
        ),
    ] = None,
    label_column: LabelColumnOption = None,
    images: Annotated[
        int | None,
        typer.Option(
            parser=whole_number("--images", 1),
            metavar="N",
            help="Images to simulate, the first of those that are evaluated.",
            show_default=f"{_DEFAULT_IMAGES}, or all if there are fewer",
        ),
    ] = None,
    result: ResultOption = None,
    out: Annotated[
        Path,
        typer.Option(
            parser=folder_to_write, metavar="DIR", help="The folder, with one for each network."
        ),
    ] = Path("systolith-out"),
) -> None:
    """Take a network from trained weights to Verilog that is simulated bit by bit.

    Quantizes to 8 bits, evaluates the float and the fixed-point network on the
    10,000 test digits, generates the accelerator, simulates it, the first ten
    digits under cocotb and the others with the bulk engine, and compares every
    value of every layer; report.html shows all of it. Ends with 1 unless all
    values are equal.

    With --data 1,000 images of the file (at most half of them), which a fixed
    seed takes from all over it, choose the formats, and the others are
    evaluated and simulated.

    [bold]Examples[/bold]

    systolith run
    systolith run --network all --images 10
    systolith run --network mine.npz --data images.npz
    """
    from systolith.golden.network.shipped import names

    chosen = names() if network == "all" else (network,)
    flows = [_flow(name, data, label_column, images, out, result) for name in chosen]
    for flow in flows:
        flow.run()
    for flow in flows:
        fail_unless_passed(flow.simulation)


def _flow(
    network: str,
    data: Path | None,
    label_column: str | None,
    images: int | None,
    out: Path,
    result: ResultKind | None,
) -> Flow:
    """The flow of a network on the images of a file, or on digits."""
    from systolith import golden
    from systolith.golden.files.seeded_choice import SEED
    from systolith.golden.network.dataset_check import check_dataset

    trained = golden.load_network(network)
    folder = out / trained.name
    require_apart(
        "out",
        (folder, folder / f"{trained.name}.npz"),
        [Path(network), *([] if data is None else [data])],
    )
    evaluated = test_images(data, "--data FILE", trained, label_column=label_column)
    check_dataset(trained.network, evaluated)
    if data is None:
        calibration, name = named_calibration(trained, None)
    else:
        chosen, others = split(evaluated)
        calibration, name = chosen.images, chosen.title
        how = f"without the {len(chosen):,} of {len(evaluated):,} chosen with seed {SEED}"
        evaluated = replace(others, split=how)
    count = min(_DEFAULT_IMAGES, len(evaluated)) if images is None else images
    evaluated.take(count)
    return Flow(
        network,
        data,
        label_column,
        trained,
        calibration,
        name,
        evaluated,
        count,
        folder,
        result,
    )


@dataclass
class Flow:
    """The flow of one network, and the results that its steps pass on.

    Parameters
    ----------
    network, data, label_column
        The network, the file of its images if it has one, and that file's column of labels if it
        is named, as the command line names them.
    trained
        The network.
    calibration, calibration_name
        The images on which formats are chosen.
    evaluated
        The images on which nothing is chosen.
    images
        The number of them to simulate, from the first on.
    folder
        The folder of all results.
    result
        What the accelerator puts out; None for what suits the network.
    """

    network: str
    data: Path | None
    label_column: str | None
    trained: TrainedNetwork
    calibration: RawImages
    calibration_name: str
    evaluated: Dataset
    images: int
    folder: Path
    result: ResultKind | None
    quantized: QuantizedNetwork = field(init=False)
    accuracy: AccuracyReport = field(init=False)
    manifest: Manifest = field(init=False)
    simulation: SimulationReport = field(init=False)

    @property
    def name(self) -> str:
        """The network's name."""
        return self.trained.name

    @property
    def by_class(self) -> bool:
        """Whether the accelerator puts out classes."""
        if self.result is None:
            return self.trained.network.has_classes
        return self.result == "class"

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

        self.quantized = golden.quantize(self.trained, self.calibration, name=self.calibration_name)
        path = self.folder / f"{self.name}.npz"
        with writing(path):
            self.quantized.save(path)
        settings = self.quantized.settings.default
        return path, (
            f"weights of {settings.weight_bits} bits, feature maps of {settings.activation_bits}, "
            f"formats chosen on {len(self.calibration):,} images of {self.calibration_name}"
        )

    def evaluate_float(self, shown: Progress) -> tuple[Path, str]:
        """Measure the accuracy of the float network."""
        return self._evaluate(self.trained, "float.json", shown)

    def evaluate_fixed(self, shown: Progress) -> tuple[Path, str]:
        """Measure the accuracy of the fixed-point network."""
        path, finding = self._evaluate(self.quantized, "fixed.json", shown)
        if not self.by_class:
            return path, finding
        return path, f"{finding}, {self.accuracy.agreement_with_float:.2%} as in float"

    def _evaluate(
        self, network: TrainedNetwork | QuantizedNetwork, file: str, shown: Progress
    ) -> tuple[Path, str]:
        from systolith import golden

        self.accuracy = golden.evaluate(
            network, self.evaluated, progress=shown, by_class=self.by_class
        )
        path = self.folder / file
        with writing(path):
            self.accuracy.save(path)
        found = self.accuracy
        if not self.by_class:
            errors = ", ".join(f"{name} {value}" for name, value in found.errors)
            return path, f"{found.images:,} images, {errors}"
        what = "right" if found.labels is not None else "with the class of the float network"
        return path, f"{found.rate:.2%} of {found.images:,} images {what}"

    def generate(self, _: Progress) -> tuple[Path, str]:
        """Generate the Verilog."""
        from systolith import hw

        with writing(self.hardware):
            self.manifest = hw.generate(
                self.quantized,
                self.hardware,
                report=self.accuracy,
                result=self.result,
            )
        path = self.hardware / self.manifest.files.verilog
        return path, f"{self.manifest.multipliers} multipliers"

    def simulate(self, shown: Progress) -> tuple[Path, str]:
        """Compare the hardware with the fixed-point model."""
        from systolith import sim

        self.simulation = sim.simulate(
            self.hardware,
            self.images,
            self.evaluated,
            progress=shown,
            announce=shown.announce,
            engine="both",
        )
        values = sum(layer.values for layer in self.simulation.layers)
        return self.hardware / "simulation.json", (
            f"{self.simulation.images} images, {values:,} values compared, "
            f"{engines_in_words(self.simulation.engines)}"
        )

    def report(self, _: Progress) -> tuple[Path, str]:
        """Write the page with figures."""
        from systolith.golden.files.whole_files import write_whole
        from systolith.scripts.pages.evaluation_page import evaluation_page
        from systolith.scripts.rtl_folder import hardware_entry

        hardware = hardware_entry(self.hardware, self.quantized)
        page = evaluation_page(
            replace(self.accuracy, hardware=hardware),
            self.quantized,
            self.evaluated,
            self.hardware,
        )
        with writing(self.page):
            write_whole(self.page, page.encode())
        return self.page, "figures, values of every layer, one image through the layers"

    def _print_results(self) -> None:
        from systolith.golden.qformat import PIXELS
        from systolith.scripts.digit import draw

        shown = console()
        shown.print()
        image = self.evaluated.images[0]
        if self.trained.network.input.format == PIXELS and image.shape[1] <= shown.width:
            picture = image.mean(axis=2).astype("uint8")
            shown.print(draw(picture, colour=shown.color_system is not None))
        if self.simulation.classes:
            labels = self.evaluated.labels
            label = "" if labels is None else f"a {labels[0]}; "
            print_line("image", f"{label}the hardware says {self.simulation.classes[0]}")
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
        on_data = "" if self.data is None else f" --data {shlex.quote(str(self.data))}"
        if self.label_column is not None:
            on_data += f" --label-column {shlex.quote(self.label_column)}"
        print_text("")
        print_text("Try next:")
        for command, why in (
            (f"simulate {rtl} --inject-fault {busiest}{on_data}", "see the check fail"),
            (f"simulate {rtl} --images all{on_data}", "all images in RTL"),
            (
                f"quantize {shlex.quote(self.network)} {fewer} --out {smaller}{on_data}",
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
