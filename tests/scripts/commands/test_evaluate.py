from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from systolith import golden
from systolith.golden.files.datasets import DatasetReference, images_sha256
from systolith.golden.fixed import execution
from systolith.golden.quantization.trials import Trial, Trials
from systolith.golden.reports.accuracy import CalibrationEntry, HardwareEntry, SiliconEntry
from systolith.golden.reports.advice import advise
from systolith.golden.reports.markdown import cell
from systolith.golden.reports.statistics import wilson_interval
from systolith.scripts.calibration_split import how_to_repeat
from systolith.scripts.commands import evaluate as command
from systolith.scripts.commands.evaluate import to_markdown
from systolith.scripts.main import main
from tests.hw.silicon.synthesized import write_synthesis
from tests.scripts import tiny


@pytest.fixture(autouse=True)
def _one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few images do not need a second process, which takes longer to start."""
    monkeypatch.setattr("systolith.scripts.comparing.parallel_trials.processors", lambda: 1)


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("quantized") / "q.npz"
    images = golden.validation_digits().images[:20]
    golden.quantize(golden.load_network("lenet5-relu"), images).save(path)
    return path


def test_json_on_standard_output_is_the_report(
    quantized: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.json"
    arguments = ["evaluate", str(quantized), "--images", "50", "--json"]
    assert main([*arguments, "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert out.read_text() == text

    report = json.loads(text)
    assert next(iter(report)) == "schema"
    expected = golden.evaluate(golden.load(quantized), golden.test_digits(), 50)
    assert (report["kind"], report["images"]) == ("fixed", 50)
    assert report["correct"] == expected.correct
    assert report["trials"] is None
    assert report["predictions"] == list(expected.predictions)


def test_table_and_markdown_show_the_layers(
    quantized: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.md"
    arguments = ["evaluate", str(quantized), "--images", "20"]
    assert main([*arguments, "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    for text in (shown, out.read_text()):
        assert "20 of mnist (test)" in text
        assert [name for name in ("C1", "S2", "C3", "S4", "C5", "F6") if name not in text] == []


@pytest.mark.parametrize("classes", [20, 21])
def test_of_many_classes_the_most_frequent_errors_are_shown(classes: int) -> None:
    images = golden.Dataset("a", "b", np.zeros((1, 5, 4, 1), np.uint8), None)
    report = replace(
        golden.evaluate(tiny.quantized(), images),
        confusion=tuple(
            tuple(3 if (label, given) == (7, 5) else int(given == 1) for given in range(classes))
            for label in range(classes)
        ),
    )
    table = to_markdown(report).partition("## Classes\n\n")[2].splitlines()
    if classes == 20:
        assert len(table) == 22
        return
    assert table[0] == "21 classes; 21 pairs of float class and other class, the most frequent"
    assert [" ".join(row.split()) for row in table[4:6]] == ["| 7 | 5 | 3 |", "| 0 | 1 | 1 |"]
    assert len(table) == 4 + 20


@pytest.mark.parametrize(("pairs", "more"), [(20, False), (21, True)])
def test_only_more_errors_than_are_shown_are_the_most_frequent(pairs: int, more: bool) -> None:
    images = golden.Dataset("a", "b", np.zeros((1, 5, 4, 1), np.uint8), None)
    counts = [[0] * 30 for _ in range(30)]
    for place in range(pairs):
        counts[place][place + 1] = place + 1
        counts[place][place] = 99
    report = replace(golden.evaluate(tiny.quantized(), images), confusion=tuple(map(tuple, counts)))
    lines = to_markdown(report).partition("## Classes\n\n")[2].splitlines()
    about = f"30 classes; {pairs} pairs of float class and other class"
    assert lines[0] == about + (", the most frequent" if more else "")
    shown = [tuple(int(cell) for cell in row.strip("| ").split(" | ")) for row in lines[4:]]
    assert shown == [(n - 1, n, n) for n in range(pairs, pairs - 20, -1)]


def test_advice_has_each_action_with_its_effect_its_cost_and_its_settings() -> None:
    trials = Trials(
        *("other", "validation", 2000, 1500, 4321),
        (
            Trial(None, "bits", 3, 1600, 140, 40, 5345),
            Trial("C1", "weight_bits", 4, 1700, 210, 10, 4400, 1, -79),
        ),
    )
    images = golden.Dataset("a", "b", np.zeros((1, 5, 4, 1), np.uint8), None)
    report = replace(golden.evaluate(tiny.quantized(), images), trials=trials)
    advice, text = advise(report), to_markdown(report)
    assert advice.actions and advice.observations
    _, _, rest = text.partition(f"\n## Advice\n\n{cell(advice.conclusion)}\n")
    how, _, rest = rest.strip("\n").partition("\n")
    assert how == cell(how_to_repeat(trials))
    for action in advice.actions:
        head = f"- **{cell(action.what)}**: {cell(action.effect.figures)}; {cell(action.cost)}"
        assert f"{head}\n\n```toml\n{action.settings}```\n" in rest
        assert action.cost not in (action.what, action.effect.figures)
    _, _, observed = text.partition("## Observations\n\n")
    lines = [f"- {cell(each)}" for each in advice.observations]
    assert observed.splitlines()[: len(lines)] == lines


@pytest.mark.parametrize("clock", [None, 84.19])
def test_the_device_and_the_clock_of_the_hardware_are_shown_if_they_are_known(
    clock: float | None,
) -> None:
    images = golden.Dataset("a", "b", np.zeros((1, 5, 4, 1), np.uint8), None)
    silicon = SiliconEntry("ecp5-85k", 16774, clock, "6")
    hardware = HardwareEntry(112, 3136, 7067, True, silicon)
    text = to_markdown(replace(golden.evaluate(tiny.quantized(), images), hardware=hardware))
    assert "| LUTs | 16,774 on ecp5-85k |" in text
    # An image every 3,136 cycles.
    assert ("| clock | 84.2 MHz, 26,846 images/s |" in text) == (clock is not None)
    assert ("MHz" in text) == (clock is not None)


def test_without_labels_or_classes_it_is_said_what_is_measured() -> None:
    images = golden.Dataset("a", "b", np.zeros((1, 5, 4, 1), np.uint8), None)
    text = to_markdown(golden.evaluate(tiny.quantized(), images))
    assert "| labels | none: agreement, not accuracy |" in text
    assert "| accuracy |" not in text and "| agreement with float |" in text
    assert "| float class | 0 | 1 | 2 |" in text
    found = golden.evaluate(tiny.quantized(), images, by_class=False)
    text = to_markdown(found)
    assert "| classes | none: errors of the outputs against the float network |" in text
    assert "agreement" not in text and "95 % interval" not in text
    for name, value in found.errors:
        assert f"| {name} | {value} |" in text
    _, _, outputs = text.partition("## Outputs\n\n")
    assert [row.split(" | ")[0] for row in outputs.splitlines()[2:]] == ["| 0", "| 1", "| 2"]


def test_the_size_of_a_network_in_floats_is_shown() -> None:
    """Two filters of 3 x 2 and three units of 18 values: 66 weights of 32 bits."""
    images = golden.Dataset("a", "b", np.zeros((1, 5, 4, 1), np.uint8), None)
    text = to_markdown(golden.evaluate(tiny.quantized().parent, images))
    (line,) = (row for row in text.splitlines() if row.startswith("| weights |"))
    assert line.startswith(f"| weights | {66 * 32 / 8192:.3f} KiB")
    assert "## Layers" not in text


def test_values_that_saturated_are_counted() -> None:
    images = golden.Dataset("a", "b", np.zeros((1, 5, 4, 1), np.uint8), None)
    report = golden.evaluate(tiny.quantized(), images)
    words = "values out of the input's range"
    assert words not in to_markdown(report)
    dataset = replace(report.dataset, saturated=4321)
    assert f"| {words} | 4,321 |" in to_markdown(replace(report, dataset=dataset))


def test_the_windows_of_layers_that_have_some_are_shown() -> None:
    images = golden.Dataset("a", "b", np.zeros((1, 5, 4, 1), np.uint8), None)
    report = golden.evaluate(tiny.quantized(), images)
    table = to_markdown(report).partition("| layer | windows |\n")[2].partition("\n\n")[0]
    assert table.splitlines() == ["| --- | --- |", "| conv | 3 x 2 |"]
    none = replace(report, layers=tuple(replace(each, form="") for each in report.layers))
    assert "windows" not in to_markdown(none)


def test_advice_is_measured_on_validation_digits(
    quantized: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    some = golden.validation_digits().take(80)
    monkeypatch.setattr(golden, "validation_digits", lambda: some)
    assert main(["evaluate", str(quantized), "--images", "30", "--advice", "--json"]) == 0
    trials = json.loads(capsys.readouterr().out)["trials"]
    assert (trials["split"], trials["images"]) == ("validation", 40)
    assert {trial["layer"] for trial in trials["trials"]} == {
        None,
        "C1",
        "C3",
        "C5",
        "F6",
        "output",
    }
    assert main(["evaluate", str(quantized), "--images", "1", "--advice"]) == 0
    shown = capsys.readouterr().out
    assert "1 image cannot say much" in shown
    assert "bits everywhere" in shown


@pytest.mark.parametrize(("bits", "verdicts"), [(2, {"better"}), (8, {"no difference shown"})])
def test_an_action_is_repeated_by_its_settings_and_its_command(
    bits: int,
    verdicts: set[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The networks that the printed command makes are those of the trials, image by image."""
    monkeypatch.chdir(tmp_path)
    some = golden.validation_digits().take(80)
    monkeypatch.setattr(golden, "validation_digits", lambda: some)
    settings = golden.Settings.from_mapping(
        {"weight_bits": bits, "activation_bits": bits, "layers": {"C3": {"weight_bits": 4}}}
    )
    trained = golden.load_network("lenet5-relu")
    coarse = golden.quantize(trained, some.images[:40], settings)
    coarse.save("coarse.npz")
    words = ["evaluate", "coarse.npz", "--images", "9", "--advice", "--json"]
    assert main([*words, "--out", "r.md"]) == 0
    report = golden.AccuracyReport.from_json(capsys.readouterr().out)
    text = Path("r.md").read_text()
    files = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (said,) = re.findall(r"gives its network by: (.*)", text)
    command, note = said.replace("\\", "").split("; ")
    assert note == "IMAGES: the images of mnist"
    assert command.split()[:3] == ["systolith", "quantize", "lenet5-relu"]
    np.savez("images.npz", images=some.images)
    command = command.replace("IMAGES", "images.npz")
    actions = advise(report).actions
    assert len(files) == len(actions)
    assert {action.effect.difference.verdict for action in actions} == verdicts
    before = execution.classes(coarse.fixed, some.images[40:]) == some.known_labels[40:]
    for file, action in zip(files, actions, strict=True):
        Path("SETTINGS.toml").write_text(file)
        assert main(command.split()[1:]) == 0
        made = golden.QuantizedNetwork.load("q.npz")
        after = execution.classes(made.fixed, some.images[40:]) == some.known_labels[40:]
        trial = action.effect.trial
        assert (trial.gains, trial.losses) == ((after & ~before).sum(), (before & ~after).sum())
        assert trial.weight_bits_total == made.weight_bits_total


def test_the_command_needs_nothing_else_for_digits_and_networks_that_ship() -> None:
    trials = Trials(*("mnist", "validation", 200, 150, 4321), (), None, "lenet5")
    images = golden.validation_digits().images[:1000]
    known = DatasetReference("mnist (validation)", images_sha256(images), 1000)
    assert how_to_repeat(replace(trials, calibrated_on=known)) == (
        "Each settings file gives its network by: "
        "systolith quantize lenet5 --config SETTINGS.toml --out q.npz"
    )
    assert how_to_repeat(replace(trials, calibrated_on=known, shipped=None)).endswith(
        "quantize NETWORK.npz --config SETTINGS.toml --out q.npz; NETWORK.npz: the float network"
    )


@pytest.mark.parametrize(
    ("known", "options"),
    [
        (DatasetReference("mine.npz", "a" * 64, 77), "--data IMAGES --images 77"),
        (None, "--data IMAGES"),
    ],
)
def test_the_command_takes_as_many_other_images_as_chose_the_formats(
    known: DatasetReference | None, options: str
) -> None:
    trials = Trials(*("mine.npz", "trial", 200, 150, 4321), (), known, "lenet5")
    assert how_to_repeat(trials) == (
        "Each settings file gives its network by: systolith quantize lenet5 --config "
        f"SETTINGS.toml --out q.npz {options}; IMAGES: the images of mine.npz"
    )


def test_sensitivity_is_a_table_of_the_same_trials(
    quantized: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    some = golden.validation_digits().take(20)
    monkeypatch.setattr(golden, "validation_digits", lambda: some)
    documents, texts = [], []
    for option in ("--advice", "--sensitivity"):
        words = ["evaluate", str(quantized), "--images", "3", option, "--json"]
        assert main([*words, "--out", str(tmp_path / "report.md")]) == 0
        documents.append(json.loads(capsys.readouterr().out)["trials"])
        texts.append((tmp_path / "report.md").read_text())
    assert documents[0] == documents[1]
    assert "## Sensitivity" not in texts[0]
    assert "A single bit more helps most in" in texts[1]
    rows = re.findall(r"^\| (\w+) \| (?:map|weights) \| 9 \| \+1 \|", texts[1], re.MULTILINE)
    wanted = [each["layer"] for each in documents[0]["trials"] if each["change"] == 1]
    assert rows == wanted != []


def test_advice_chooses_formats_on_the_first_half_and_scores_on_the_other(
    quantized: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    some = golden.validation_digits().take(81)
    monkeypatch.setattr(golden, "validation_digits", lambda: some)
    seen: list[tuple[NDArray[np.uint8], golden.Dataset]] = []

    def try_widths(
        _: golden.QuantizedNetwork, images: NDArray[np.uint8], others: golden.Dataset, *__: object
    ) -> None:
        seen.append((images, others))

    monkeypatch.setattr("systolith.golden.quantization.trials.try_widths", try_widths)
    assert main(["evaluate", str(quantized), "--images", "3", "--advice"]) == 0
    ((chosen_on, scored_on),) = seen
    assert np.array_equal(chosen_on, some.images[:40])
    assert np.array_equal(scored_on.images, some.images[40:])
    assert np.array_equal(scored_on.known_labels, some.known_labels[40:])


def test_images_of_the_file_that_are_not_evaluated_may_try_widths(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.quantized().save("q.npz")
    tiny.save_images(Path("data.npz"), 30)
    data = golden.load_dataset("data.npz")
    np.savez("rest.npz", images=data.images[10:], labels=data.known_labels[10:])
    seen: list[golden.Dataset] = []
    monkeypatch.setattr(command, "_trials", lambda _, images, __: seen.append(images))
    words = "evaluate q.npz --data data.npz --sensitivity --trial-data rest.npz --images".split()
    assert main([*words, "10"]) == 0
    ((tried,)) = seen
    assert np.array_equal(tried.images, data.images[10:])
    capsys.readouterr()
    assert main([*words, "11"]) == 2
    assert capsys.readouterr().err == (
        "systolith: --trial-data: 1 of the images of rest.npz (trial) are among those of data.npz "
        "(custom), which are evaluated; trials need others\n"
    )


@pytest.mark.parametrize(
    ("options", "kind", "by_class"),
    [
        ("", None, True),
        ("--result class", None, True),
        ("--result scores", None, False),
        ("--rtl rtl", "class", True),
        ("--rtl rtl", "scores", False),
        # The option is stronger than the hardware.
        ("--rtl rtl --result class", "scores", True),
        ("--rtl rtl --result scores", "class", False),
    ],
)
def test_classes_or_outputs_are_measured_as_the_option_or_the_hardware_says(
    options: str, kind: str | None, by_class: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And everything that was given reaches the report and its page."""
    monkeypatch.chdir(tmp_path)
    tiny.quantized().save("q.npz")
    tiny.save_images(Path("data.npz"), 30)
    pages: list[Any] = []
    hardware = HardwareEntry(112, 3136, 7067, None)

    def page(*args: Any) -> str:
        pages.append(args)
        return "page"

    manifest = SimpleNamespace(result=SimpleNamespace(kind=kind))
    monkeypatch.setattr("systolith.hw.verilog.manifest.load_manifest", lambda _: manifest)
    monkeypatch.setattr("systolith.scripts.rtl_folder.hardware_entry", lambda *_: hardware)
    monkeypatch.setattr("systolith.scripts.pages.evaluation_page.evaluation_page", page)
    words = f"evaluate q.npz --data data.npz --images 7 --out r.html --out r.json {options}"
    assert main(words.split()) == 0
    network, data = golden.load("q.npz"), golden.load_dataset("data.npz")
    expected = golden.evaluate(network, data, 7, by_class=by_class)
    if "--rtl" in options:
        expected = replace(expected, hardware=hardware)
    assert golden.AccuracyReport.load("r.json") == expected
    ((report, shown, dataset, rtl, repeat),) = pages
    assert (report, shown.sha256, dataset.sha256) == (expected, network.sha256, data.sha256)
    assert (rtl, repeat) == (Path("rtl") if "--rtl" in options else None, "")
    assert Path("r.html").read_text() == "page"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("net.npz --rtl rtl", "--rtl: needs a quantized network, not the float network 'tiny'"),
        ("net.npz --sensitivity", "--sensitivity: needs a quantized network, not the float"),
        ("q.npz --sensitivity --result scores", "--sensitivity: trials of other widths are scored"),
        (
            "q.npz --advice --result scores",
            "--advice: trials of other widths are scored",
        ),
        ("q.npz --sensitivity --trial-data digits.npz", "digits.npz: images are 28 x 28 x 1"),
        ("q.npz --sensitivity --trial-data strange.npz", "has the label 3, network 'tiny' has"),
    ],
)
def test_what_needs_something_else_is_refused_before_any_work(
    arguments: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.quantized().save("q.npz")
    tiny.quantized().parent.save("net.npz")
    tiny.save_images(Path("data.npz"), 30)
    tiny.save_images(Path("other.npz"), 30, seed=3)
    np.savez("digits.npz", images=golden.test_digits().images[:4], labels=np.arange(4) % 3)
    np.savez("strange.npz", images=np.load("other.npz")["images"], labels=np.arange(30) % 4)
    monkeypatch.setattr(golden, "evaluate", lambda *_: pytest.fail("it was evaluated"))
    assert main(["evaluate", *arguments.split(), "--data", "data.npz", "--out", "r.json"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err
    assert not Path("r.json").exists()


def test_trials_are_shown_on_the_terminal_and_on_the_page_with_their_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.quantized().save("q.npz")
    for seed, name in ((2, "data.npz"), (3, "other.npz")):
        tiny.save_images(Path(name), 30, seed=seed)
    known = DatasetReference("other.npz", "a" * 64, 15)
    trials = Trials(
        *("other.npz", "trial", 200, 150, 4321),
        (
            Trial(None, "bits", 4, 190, 40, 0, 2345),
            Trial("conv", "weight_bits", 9, 1, 0, 149, 9, 1),
        ),
        known,
        None,
    )
    pages: list[Any] = []
    monkeypatch.setattr(command, "_trials", lambda *_: trials)

    def page(*args: Any) -> str:
        pages.append(args)
        return ""

    monkeypatch.setattr("systolith.scripts.pages.evaluation_page.evaluation_page", page)
    words = "evaluate q.npz --data data.npz --trial-data other.npz --out r.html --sensitivity"
    assert main(words.split()) == 0
    assert "Sensitivity" in capsys.readouterr().out
    ((report, *_, repeat),) = pages
    assert report.trials == trials
    assert repeat == how_to_repeat(trials) != ""
    assert main([*words.split()[:-1], "--advice"]) == 0
    assert "Sensitivity" not in capsys.readouterr().out


def test_hardware_of_the_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.generate(Path("rtl"))
    tiny.save_images(Path("images.npz"), 12)
    arguments = ["evaluate", "rtl/tiny.npz", "--data", "images.npz", "--rtl", "rtl"]
    assert main([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    manifest = json.loads(Path("rtl/manifest.json").read_text())
    assert report["trials"] is None
    assert report["hardware"] == {
        "multipliers": manifest["multipliers"],
        **manifest["predicted"],
        "bit_exact": None,
        "silicon": None,
    }
    assert main(["simulate", "rtl", "--data", "images.npz", "--images", "12"]) == 0
    assert main([*arguments, "--out", "report.html"]) == 0
    assert "RTL simulated, bit-exact" in Path("report.html").read_text()
    assert "MHz" not in Path("report.html").read_text()

    write_synthesis(Path("rtl"))
    capsys.readouterr()
    assert main([*arguments, "--out", "report.html"]) == 0
    shown, page = capsys.readouterr().out, Path("report.html").read_text()
    speed = f"{91.5e6 / manifest['predicted']['interval_cycles']:,.0f}"
    assert "20 on ecp5-25k" in shown and f"91.5 MHz, {speed} images/s" in shown
    assert f"{speed} images a second" in page and "ecp5-25k" in page

    other = golden.quantize(
        tiny.quantized().parent,
        golden.load_dataset("images.npz").images,
        golden.Settings.from_mapping({"weight_bits": 4}),
    )
    other.save("other.npz")
    capsys.readouterr()
    arguments = ["evaluate", "other.npz", "--data", "images.npz", "--rtl"]
    assert main([*arguments, "rtl"]) == 2
    assert "rtl: is hardware of tiny " in capsys.readouterr().err
    assert main([*arguments, "nowhere"]) == 2
    Path("rtl/simulation.json").write_text("{")
    assert main(["evaluate", "rtl/tiny.npz", "--data", "images.npz", "--rtl", "rtl"]) == 2
    assert "rtl/simulation.json: not JSON: " in capsys.readouterr().err


def test_each_figure_of_the_tables_stands_in_its_row() -> None:
    """No two figures are equal, so that none can stand for another."""
    report = replace(
        golden.evaluate(golden.load_network("lenet5-relu"), golden.test_digits(), 1),
        images=400,
        correct=300,
        agreement_with_float=0.875,
        confusion=((3, 1), (2, 4)),
        quantization={"weight_bits_total": 4321},
        weights=567,
        calibrated_on=CalibrationEntry("some", "", 77, False),
        hardware=HardwareEntry(112, 3136, 7067, None),
        trials=Trials(
            *("other", "validation", 200, 150, 4321),
            (Trial(None, "bits", 4, 190, 40, 0, 2345), Trial("C1", "weight_bits", 4, 1, 0, 149, 9)),
        ),
    )
    lines = to_markdown(report).splitlines()
    low, high = wilson_interval(300, 400)
    for line in (
        "| images | 400 of mnist (test) |",
        "| accuracy | 0.7500 (300 right) |",
        f"| 95 % interval | {low:.4f} to {high:.4f} |",
        "| agreement with float | 0.8750 |",
        "| calibrated on | 77 of some |",
        "| weights | 0.527 KiB, 4.20x smaller than 32-bit floats |",
        "| multipliers | 112 |",
        "| cycles an image | 3,136 |",
        (
            "| bits everywhere | validation accuracy | 95 % interval | weights (KiB) "
            "| smaller than float |"
        ),
        # Wilson's interval of 190 in 200, by Newcombe's formula with z = 1.96.
        "| 4 | 0.9500 | 0.9104 to 0.9726 | 0.3 | 7.74x |",
        "| label | 0 | 1 |",
        "| 0 | 3 | 1 |",
        "| 1 | 2 | 4 |",
    ):
        assert line in lines


def test_a_float_network_and_images_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digits = golden.test_digits()
    data = tmp_path / "some.npz"
    np.savez(data, images=digits.images[:7, :, :, 0], labels=digits.known_labels[:7])
    assert main(["evaluate", "lenet5-relu", "--data", str(data), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["kind"], report["images"], report["layers"]) == ("float", 7, [])
    assert report["labels"] == digits.known_labels[:7].tolist()
