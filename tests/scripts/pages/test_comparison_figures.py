"""What the figures of a comparison draw, read back and held against its reports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from systolith.golden.reports.comparison import LayerRow, Row
from systolith.scripts.pages import comparison_figures
from tests.scripts.comparing.comparisons import C1, COMPARISON, FIRST
from tests.scripts.pages.chart_data import drawn, tooltips

GREY, GREEN, ORANGE, RED = "#6b7785", "#2e8b57", "#d9731a", "#e0455a"


def test_a_worse_report_is_red_and_a_better_one_green() -> None:
    spec = comparison_figures.accuracy(COMPARISON).to_dict()
    bars, points = drawn(spec)
    # Fewer errors are further to the right.
    scale = spec["layer"][0]["encoding"]["x"]["scale"]
    assert (scale["type"], scale["reverse"]) == ("log", True)
    assert points.marks == [
        {"y": "one", "x": pytest.approx(0.1), "color": GREY},
        {"y": "two", "x": pytest.approx(0.2), "color": RED},
        {"y": "three", "x": pytest.approx(0.2), "color": GREEN},
        {"y": "four", "x": pytest.approx(0.2), "color": ORANGE},
    ]
    # The fractions of errors at the ends of the intervals of accuracy.
    eight = (1 - 0.49016, 1 - 0.94332)
    assert [(each["x"], each["x2"]) for each in bars.marks] == [
        pytest.approx(each, abs=1e-4) for each in ((1 - 0.59585, 1 - 0.98213), eight, eight, eight)
    ]


def test_a_report_that_is_touched_shows_its_figures_and_its_verdict() -> None:
    """Wilson's intervals of 9 and of 8 in 10, by Newcombe's formula with z = 1.96."""
    figure = comparison_figures.accuracy(COMPARISON).to_dict()
    nine = {"accuracy": 0.9, "low": pytest.approx(0.59585, abs=1e-4)}
    nine["high"] = pytest.approx(0.98213, abs=1e-4)
    eight = {"accuracy": 0.8, "low": pytest.approx(0.49016, abs=1e-4)}
    eight["high"] = pytest.approx(0.94332, abs=1e-4)
    assert tooltips({**figure, **figure["layer"][0], "datasets": figure["datasets"]}) == [
        {"report": "one", **nine, "verdict": "the first"},
        {"report": "two", **eight, "verdict": "worse"},
        {"report": "three", **eight, "verdict": "better"},
        {"report": "four", **eight, "verdict": "no difference shown"},
    ]
    assert figure["description"].endswith(": one 0.9000, two 0.8000, three 0.8000, four 0.8000")


def test_a_cell_that_is_touched_shows_its_report_and_its_figure() -> None:
    figure = comparison_figures.by_layer(COMPARISON)["saturation"].to_dict()
    inherited = {**figure, **figure["layer"][0], "datasets": figure["datasets"]}
    assert tooltips(inherited) == [
        {"report": report, "layer": layer, "saturated (%)": share}
        for report, layer, share in (
            *(("two", "C1", 25.0), ("three", "C1", 25.0)),
            *(("two", "F6", 0.357), ("four", "F6", 0.357)),
        )
    ]
    assert figure["description"] == "saturated (%), by report and layer"


def test_a_figure_of_zero_is_a_figure() -> None:
    """Of a ratio of 0 dB, and of a layer of which nothing saturates."""
    entry = replace(C1, sqnr_db=0.0, saturated=0)
    layers = (LayerRow("C1", (None, entry, C1, None)),)
    figures = comparison_figures.by_layer(replace(COMPARISON, layers=layers))
    for name, other in (("sqnr", 31.25), ("saturation", 25.0)):
        squares, texts = drawn(figures[name].to_dict())
        assert [(each["y"], each["color"]) for each in squares.marks] == [
            *(("two", 0), ("three", other))
        ]
        assert texts.marks[0]["text"] == "0"


def test_a_label_without_any_right_image_is_all_wrong_and_one_without_images_is_left_out() -> None:
    report = replace(FIRST, confusion=((0, 3, 1), (2, 2, 0), (0, 0, 0)))
    comparison = replace(COMPARISON, rows=(Row("all", "a.json", report, None),))
    spec = comparison_figures.wrong_by_class(comparison).to_dict()
    squares, texts = drawn(spec)
    assert [(each["x"], each["color"]) for each in squares.marks] == [("0", 100), ("1", 50)]
    assert [each["text"] for each in texts.marks] == ["100", "50"]
    legend = spec["layer"][0]["encoding"]["color"]["legend"]
    assert legend["values"] == [0, 1, 3, 10, 30, 100]


def test_the_scale_of_changes_has_room_for_the_largest_loss() -> None:
    """Of the label 0 three fewer are right, and of the others one and two more are wrong."""
    first, two, *_ = COMPARISON.rows
    reports = [replace(FIRST, confusion=((5, 0, 0), (0, 4, 0), (0, 0, 1)))]
    reports.append(replace(FIRST, confusion=((2, 1, 2), (0, 4, 0), (0, 0, 1))))
    rows = tuple(replace(row, report=each) for row, each in zip((first, two), reports, strict=True))
    spec = comparison_figures.confusion_difference(replace(COMPARISON, rows=rows)).to_dict()
    colour = spec["layer"][0]["encoding"]["color"]
    assert (colour["scale"]["domain"], colour["legend"]["values"]) == ([-3, 3], [-3, 0, 3])
    (changes,) = spec["datasets"].values()
    assert [(each["label"], each["class"], each["images"]) for each in changes] == [
        *(("0", "0", -3), ("0", "1", 1), ("0", "2", 2))
    ]


def test_no_errors_are_half_an_error_on_a_logarithmic_axis() -> None:
    perfect = replace(FIRST, correct=10, confusion=((5, 0), (0, 5)))
    comparison = replace(COMPARISON, rows=(Row("all", "a.json", perfect, None),))
    bars, points = drawn(comparison_figures.accuracy(comparison).to_dict())
    (bar,), (point,) = bars.marks, points.marks
    assert point["x"] == bar["x2"] == pytest.approx(0.5 / 10)
    # Wilson's interval of 10 of 10 ends at 1 / (1 + 1.96**2 / 10).
    assert bar["x"] == pytest.approx(1 - 0.72247, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("sqnr", {("two", "C1"): 31.25, ("three", "C1"): 31.25}),
        (
            "saturation",
            {
                ("two", "C1"): 25.0,
                ("three", "C1"): 25.0,
                ("two", "F6"): 0.357,
                ("four", "F6"): 0.357,
            },
        ),
        (
            "range",
            {("two", "C1"): 75, ("three", "C1"): 75, ("two", "F6"): 50, ("four", "F6"): 50},
        ),
    ],
)
def test_each_layer_of_each_report_has_its_own_figure(
    name: str, figures: dict[tuple[str, str], float]
) -> None:
    squares, texts = drawn(comparison_figures.by_layer(COMPARISON)[name].to_dict())
    assert {(each["y"], each["x"]): each["color"] for each in squares.marks} == figures
    shown = {(each["y"], each["x"]): each["text"] for each in texts.marks}
    words = {31.25: "31", 25.0: "25", 0.357: "0.4", 75: "75", 50: "50"}
    assert shown == {place: words[figure] for place, figure in figures.items()}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0, "0"), (0.01, "<0.1"), (0.049, "<0.1"), (0.05, "0.1"), (0.36, "0.4")),
        *((9.94, "9.9"), (9.95, "10"), (25, "25"), (99.96, "100"), (-0.2, "-0.2")),
    ],
)
def test_a_figure_of_a_heat_map_has_at_most_four_characters(value: float, text: str) -> None:
    assert comparison_figures._short(value) == text


def test_ticks_up_to_the_greatest_share_are_in_the_legend() -> None:
    colour = comparison_figures.by_layer(COMPARISON)["saturation"].to_dict()["layer"][0]
    legend, scale = (colour["encoding"]["color"][key] for key in ("legend", "scale"))
    # A quarter of the values at most.
    assert (legend["values"], scale["type"]) == ([0, 1, 3, 10], "symlog")
    colour = comparison_figures.by_layer(COMPARISON)["range"].to_dict()["layer"][0]
    assert colour["encoding"]["color"]["scale"]["type"] == "linear"
    assert "values" not in colour["encoding"]["color"]["legend"]


@pytest.mark.parametrize(
    ("most", "ticks"), [(0.99, None), (1.0, [0, 1]), (3.0, [0, 1, 3]), (0.0, None)]
)
def test_ticks_are_left_out_below_one_per_cent(most: float, ticks: list[int] | None) -> None:
    cells = [("one", "C1", most), ("two", "C1", 0.0)]
    chart = comparison_figures._heat_map(COMPARISON, "layer", "x", cells, "oranges", (0, 1, 3, 10))
    legend = chart.to_dict()["layer"][0]["encoding"]["color"]["legend"]
    assert legend.get("values") == ticks


def test_without_any_figure_there_are_no_ticks() -> None:
    chart = comparison_figures._heat_map(COMPARISON, "layer", "x", [], "oranges", (0, 1, 3))
    legend = chart.to_dict()["layer"][0]["encoding"]["color"]["legend"]
    assert "values" not in legend


def test_texts_are_left_out_of_very_many_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [("one", "C1", 1.0), ("two", "C1", 2.0)]
    for most, layers in ((2, 2), (1, 1)):
        monkeypatch.setattr(comparison_figures, "_MOST_TEXTS", most)
        chart = comparison_figures._heat_map(COMPARISON, "layer", "x", cells, "oranges")
        assert len(drawn(chart.to_dict())) == layers


def test_a_label_of_several_lines_is_in_the_middle_of_its_row() -> None:
    """Of n lines of 14 pixels, the first is half of n - 1 lines above the middle."""
    rows = COMPARISON.rows
    label = "a label that is much longer than any line of a really narrow window"
    wide = replace(COMPARISON, rows=(replace(rows[0], label=label), *rows[1:]))
    axis = comparison_figures.by_layer(wide)["sqnr"].to_dict()["layer"][0]["encoding"]["y"]["axis"]
    lines = len(comparison_figures._wrapped(label).split("\n"))
    assert lines == 4
    conditions = axis["labelOffset"]["condition"]
    assert [each["value"] for each in conditions] == [
        -axis["labelLineHeight"] * n for n in (0.5, 1, 1.5)
    ]
    assert [each["test"][-4:] for each in conditions] == ["== 2", "== 3", "== 4"]
    assert axis["labelOffset"]["value"] == 0


@pytest.mark.parametrize("place", [0, 11])
def test_the_longest_label_of_all_decides_the_height(place: int) -> None:
    """Four lines, of which three are 14 pixels more each, in the row of every report."""
    label = "a label that is much longer than any line of a really narrow window"
    rows = [
        replace(row, label=label if n == place else row.label)
        for n, row in enumerate(COMPARISON.rows * 3)
    ]
    short = comparison_figures.accuracy(replace(COMPARISON, rows=COMPARISON.rows * 3))
    long = comparison_figures.accuracy(replace(COMPARISON, rows=tuple(rows)))
    assert (short.height, long.height) == (70 + 24 * 12, 70 + (24 + 3 * 14) * 12)


def test_the_share_of_wrong_images_is_that_of_each_label() -> None:
    squares, _ = drawn(comparison_figures.wrong_by_class(COMPARISON).to_dict())
    second = {"0": 40, "1": 0}
    assert {(each["y"], each["x"]): each["color"] for each in squares.marks} == {
        **{("one", label): wrong for label, wrong in (("0", 0), ("1", 20))},
        **{(name, each): n for name in ("two", "three", "four") for each, n in second.items()},
    }


def test_the_first_report_whose_confusion_differs_is_chosen() -> None:
    """The second report is the same as the first here; without a difference it is chosen."""
    first, two, *_ = COMPARISON.rows
    same = replace(first, label="same")
    for rows, chosen in (((first, same, two), two.label), ((first, same), "same")):
        figure = comparison_figures.confusion_difference(replace(COMPARISON, rows=rows))
        assert figure.to_dict()["params"][0]["value"] == chosen
    # Where nothing changed, the scale of colours is of one image.
    colour = figure.to_dict()["layer"][0]["encoding"]["color"]
    assert (colour["scale"]["domain"], colour["legend"]["values"]) == ([-1, 1], [-1, 0, 1])


@pytest.mark.parametrize(("classes", "height"), [(2, 200), (4, 200), (5, 220), (40, 920)])
def test_a_confusion_has_room_for_each_class(classes: int, height: int) -> None:
    """Of 20 pixels, below a legend; but 200 at least."""
    report = replace(FIRST, confusion=((0,) * classes,) * classes)
    rows = tuple(replace(row, report=report) for row in COMPARISON.rows)
    figure = comparison_figures.confusion_difference(replace(COMPARISON, rows=rows))
    assert figure.height == height
    labels = [str(number) for number in range(classes)]
    for layer in figure.to_dict()["layer"]:
        for channel in ("x", "y"):
            assert layer["encoding"][channel]["scale"]["domain"] == labels


def test_a_confusion_has_the_images_more_or_fewer_than_in_the_first() -> None:
    spec = comparison_figures.confusion_difference(COMPARISON).to_dict()
    (chosen,) = spec["params"]
    assert chosen["value"] == "two"
    assert chosen["bind"]["options"] == ["two", "three", "four"]
    (rows,) = spec["datasets"].values()
    # Label and class: of the label 0 two more get a 1, and of the label 1 one fewer gets a 0.
    colour = spec["layer"][0]["encoding"]["color"]
    assert (colour["scale"]["domain"], colour["legend"]["values"]) == ([-2, 2], [-2, 0, 2])
    changes = {("0", "0"): -2, ("0", "1"): 2, ("1", "0"): -1, ("1", "1"): 1}
    for label in ("two", "three", "four"):
        own = [row for row in rows if row["report"] == label]
        assert {(row["label"], row["class"]): row["images"] for row in own} == changes
    for layer in spec["layer"]:
        encoding = layer["encoding"]
        assert (encoding["y"]["field"], encoding["x"]["field"]) == ("label", "class")
