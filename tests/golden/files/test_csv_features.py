"""CSV files of features: what is read, and what is refused with its line and column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from systolith.golden.errors import FileFormatError
from systolith.golden.files.datasets import Dataset, load_dataset
from systolith.golden.network.graph import Input
from systolith.golden.qformat import QFormat

SENSOR = Input(name="input", height=1, width=2, channels=2, format=QFormat(8, 5))
PIXELS = Input(name="input", height=1, width=2, channels=2)
ROWS = [[-4.0, 0.03125, 1.5, 3.96875], [0.046875, -0.046875, 0.015625, 0.0]]
RAW = [[-128, 1, 48, 127], [2, -2, 0, 0]]  # of halves, the even one


def load(
    folder: Path, text: str, taker: Input = SENSOR, label_column: str | None = None
) -> Dataset:
    (folder / "features.csv").write_text(text, "utf-8")
    return load_dataset(folder / "features.csv", taker, label_column)


def lines(rows: list[list[float]]) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("header", "first"),
    [
        ("", ""),
        ("a,b,c,d\n", ""),
        ("0,1,x,2\n", ""),
        ("1,2,3,label\n", None),
        ("\ufeffa,b,c,d\r\n", ""),
    ],
)
def test_values_are_row_by_row_and_rounded_to_even(
    header: str, first: str | None, tmp_path: Path
) -> None:
    if first is None:
        with pytest.raises(FileFormatError, match="4 columns, one of them of labels"):
            load(tmp_path, header + lines(ROWS))
        return
    found = load(tmp_path, header + lines(ROWS) + "\n\n")
    assert found.images.dtype == np.int8
    assert found.images.shape == (2, 1, 2, 2)
    assert found.images.reshape(2, -1).tolist() == RAW
    assert (found.labels, found.saturated, found.split) == (None, 0, "custom")


@pytest.mark.parametrize("first", ["0", "1"])
def test_a_single_value_that_could_be_a_column_s_number_is_a_value(
    first: str, tmp_path: Path
) -> None:
    single = Input(name="input", height=1, width=1)
    found = load(tmp_path, f"{first}\n200\n", single)
    assert found.images.ravel().tolist() == [int(first), 200]


def test_labels_are_in_the_last_column_if_it_is_called_so_or_in_the_one_that_is_named(
    tmp_path: Path,
) -> None:
    last = load(tmp_path, "a,b,c,d,label\n1,2,3,-1,7\n1,1,1,1,0\n")
    assert last.known_labels.tolist() == [7, 0]
    largest = load(tmp_path, f"a,b,c,d,label\n1,1,1,1,{2**31 - 1}\n")
    assert largest.known_labels.tolist() == [2**31 - 1]
    named = load(tmp_path, "a,kind,b,c,d\n1,7,2,3,-1\n1,0,1,1,1\n", label_column="kind")
    assert named.known_labels.tolist() == [7, 0]
    assert np.array_equal(named.images, last.images)
    assert named.sha256 == last.sha256


def test_what_saturates_is_counted(tmp_path: Path) -> None:
    found = load(tmp_path, "4,-4.02,1e308,3.98\n-4.015,0,0,1e-320\n")
    assert found.images.reshape(2, -1).tolist() == [[127, -128, 127, 127], [-128, 0, 0, 0]]
    assert found.saturated == 3  # -4.015 and 3.98 are within half a step of the ends


def test_pixels_are_whole_numbers(tmp_path: Path) -> None:
    found = load(tmp_path, "0,255,7.0,1e2\n", PIXELS)
    assert (found.images.dtype.name, found.images.ravel().tolist()) == ("uint8", [0, 255, 7, 100])
    found = load(tmp_path, "a,b,c,d,label\n1,2,3,4,300\n5,6,7,8,0\n", PIXELS)
    assert found.saturated_values is not None and found.saturated_values.tolist() == [0, 0]
    assert (found.known_labels.tolist(), found.images[1, 0, 1].tolist()) == ([300, 0], [7, 8])


@pytest.mark.parametrize(
    ("text", "taker", "message"),
    [
        ("", SENSOR, "has no lines"),
        ("a,b,c,d\n", SENSOR, "has a header and no other line"),
        ("0,1,2,3\n1,1,1,1\n", SENSOR, "line 1 may be a header or values: give the columns names"),
        ("1,2,3,4\n1,1,1,1\n", SENSOR, "line 1 may be a header or values"),
        ("1,1,1,1\n1,1,x,1\n", SENSOR, r"line 2, column 3: must be a number, not 'x'"),
        ("1.5,2.x,3,4\n", SENSOR, r"line 1, column 2: must be a number, not '2.x'"),
        ("a,b,c,d\n1,1,,1\n", SENSOR, r"line 2, column 3 \(c\): must be a number, not ''"),
        ("a,b,c,d\n1,1,nan,1\n", SENSOR, r"line 2, column 3 \(c\): must be a number, not 'nan'"),
        ("a,b,c,d\n1,1,1_0,1\n", SENSOR, r"must be a number, not '1_0'"),
        ("a,b,c,d\n1,1,\u0661,1\n", SENSOR, r"must be a number, not"),
        ("1,1,1,1\n1,1,1\n", SENSOR, "line 2 has 3 columns, not 4"),
        ("1,1,1,1\n\n1,1,1,1\n", SENSOR, "line 2 is empty"),
        ("1,1,1,1\n \n", SENSOR, "line 2 has 1 column, not 4"),
        (",".join(["1"] * 2_000_000), SENSOR, "has 2,000,000 columns, and the network takes 4 val"),
        ("1;1;1;1\n", SENSOR, "has 1 column, .* separated by commas, not semicolons"),
        ("a,b,c,d,e\n1,1,1,1,0\n", SENSOR, "5 columns, .* takes 4 values: name .* --label-column"),
        ("1,1,1,1,0\n", SENSOR, "the column of labels needs a name, in a header line"),
        ("a,b,c\n1,1,1\n", SENSOR, "has 3 columns, and the network takes 4 values$"),
        ("a,b,c,d,label\n1,1,1,1,cat\n", SENSOR, r"line 2, column 5 \(label\): must be a number"),
        ("a,b,c,d,label\n1,1,1,1,-1\n", SENSOR, r"column 5 \(label\): must be a class, a whole"),
        ("a,b,c,d,label\n1,1,1,1,0.5\n", SENSOR, r"must be a class, .* not '0.5'"),
        ("a,b,c,d,label\n1,1,1,1,2147483648\n", SENSOR, r"must be a class, .* not '2147483648'"),
        ("a,b,c,d,label\n1,1,1,256,0\n", PIXELS, r"line 2, column 4 \(d\): .* from 0 to 255"),
        ("a,b,c,d\n1,0.5,1,1\n", PIXELS, r"column 2 \(b\): must be a whole number .* not '0.5'"),
        ('a,b,c,d\n1,1,1,"1\n', SENSOR, "is no CSV file in UTF-8"),
        ("a\x1b[2J,b,c,d\nx,1,1,1\n", SENSOR, r"column 1 \(a\\x1b\[2J\)"),
    ],
)
def test_what_is_not_known_or_no_number_is_refused(
    text: str, taker: Input, message: str, tmp_path: Path
) -> None:
    with pytest.raises(FileFormatError, match=message) as caught:
        load(tmp_path, text, taker)
    assert str(caught.value).startswith(f"{tmp_path / 'features.csv'}: ")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("wrong", range(4))
@pytest.mark.parametrize("labels", range(5))
def test_a_wrong_pixel_is_named_by_its_column_wherever_the_labels_are(
    labels: int, wrong: int, tmp_path: Path
) -> None:
    names, row = list("abcd"), ["1"] * 4
    row[wrong] = "256"
    name = names[wrong]
    names.insert(labels, "kind")
    row.insert(labels, "0")
    message = rf"line 2, column {names.index(name) + 1} \({name}\): .* not '256'"
    with pytest.raises(FileFormatError, match=message):
        load(tmp_path, f"{','.join(names)}\n{','.join(row)}\n", PIXELS, label_column="kind")


@pytest.mark.parametrize("empty", ["", "\n", "\n\n", "\r\n\r\n"])
def test_empty_lines_at_the_end_hold_nothing(empty: str, tmp_path: Path) -> None:
    assert load(tmp_path, f"1,1,1,1\n2,2,2,2\n{empty}", SENSOR).images.shape[0] == 2


def test_a_column_of_labels_must_be_there_once(tmp_path: Path) -> None:
    for text, message in (
        ("a,b,c,d,e\n1,1,1,1,0\n", "has 0 columns named 'kind'; it has a, b, c, d, e"),
        ("kind,b,c,d,kind\n1,1,1,1,0\n", "has 2 columns named 'kind'"),
        ("5,1,1,1,0\n", "has no header line, so that no column is named 'kind'"),
    ):
        with pytest.raises(FileFormatError, match=message):
            load(tmp_path, text, label_column="kind")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "features.csv").write_bytes(b"a,b,c,d\n1,\xff,1,1\n")
    with pytest.raises(FileFormatError, match="is no CSV file in UTF-8"):
        load_dataset(tmp_path / "features.csv", SENSOR)


def test_a_header_may_have_commas_and_spaces_inside(tmp_path: Path) -> None:
    text = 'a,"b, and, more, and, more, and, more", kind ,c,d\n1,2,7,3,-1\n'
    found = load(tmp_path, text, label_column="kind")
    assert found.known_labels.tolist() == [7]
    assert found.images.ravel().tolist() == [32, 64, 96, -32]


def test_a_column_called_label_has_labels_only_if_it_is_the_last(tmp_path: Path) -> None:
    found = load(tmp_path, "a,label,c,d\n1,2,3,-1\n")
    assert found.labels is None and found.images.ravel().tolist() == [32, 64, 96, -32]


def test_the_wrong_value_of_a_label_column_in_the_middle_is_the_label_s(tmp_path: Path) -> None:
    for label in ("x", "-3", "1.5"):
        with pytest.raises(FileFormatError, match=rf"line 3, column 2 \(kind\): .*, not '{label}'"):
            load(
                tmp_path,
                f"a,kind,b,c,d\n1,0,1,1,1\n1,{label},1,1,1\n",
                label_column="kind",
            )


NAMES = '"a",b,c,d,e,f\n1,1,1,1,1,0\n'
"""More columns than are counted before they are parsed."""


@pytest.mark.parametrize(
    ("text", "label_column", "reason"),
    [
        ("1,1,1,1\n\n\n1,1,1,1\n", None, "line 2 is empty"),
        ("1,1,1,1\n1,1,1,1,1\n", None, "line 2 has 5 columns, not 4"),
        ("1,1,1,1\n1,y,x,1\n", None, "line 2, column 2: must be a number, not 'y'"),
        ("a,,c,d\n1,x,1,1\n", None, "line 2, column 2: must be a number, not 'x'"),
        (
            f"1,1,1,1\n1,1,1,{'x' * 31}\n",
            None,
            f"line 2, column 4: must be a number, not '{'x' * 30}'",
        ),
        (NAMES, "kind", "has 0 columns named 'kind'; the last ones are b, c, d, e, f"),
        (
            f"a\x1b[2J,{'b' * 31},c,d\n1,1,1,0\n",
            "kind",
            f"has 0 columns named 'kind'; it has a\\x1b[2J, {'b' * 30}, c, d",
        ),
        (
            "1;1;1;1;1\n",
            None,
            (
                "has 1 column, and the network takes 4 values: columns are separated "
                "by commas, not semicolons"
            ),
        ),
        (
            "a,b,c,d,e\n1,1,1,1,0\n",
            None,
            (
                "has 5 columns, and the network takes 4 values: name the "
                "column of labels with --label-column"
            ),
        ),
        (
            NAMES,
            "f",
            ("has 6 columns, one of them of labels (6 (f)), and the network takes 4 values"),
        ),
        (
            "a,b,c\n1,1,0\n",
            "c",
            ("has 3 columns, one of them of labels (3 (c)), and the network takes 4 values"),
        ),
        ("1,1,1,1,1,1\n", None, "has 6 columns, and the network takes 4 values"),
    ],
)
def test_what_is_refused_is_said_in_full(
    text: str, label_column: str | None, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(FileFormatError) as caught:
        load(tmp_path, text, SENSOR, label_column)
    assert str(caught.value) == f"{tmp_path / 'features.csv'}: {reason}"
