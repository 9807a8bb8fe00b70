"""The images that choose formats are the same ones each time, and from all over a file."""

from __future__ import annotations

import numpy as np

from systolith.golden.files.seeded_choice import chosen_numbers


def test_the_choice_is_fixed() -> None:
    """Files and reports that name the seed rely on it."""
    assert chosen_numbers(12, 5).tolist() == [4, 5, 7, 8, 11]
    assert chosen_numbers(12, 12).tolist() == list(range(12))


def test_a_file_that_is_sorted_by_class_gives_images_of_every_class() -> None:
    labels = np.repeat(np.arange(10), 180)
    counts = np.bincount(labels[chosen_numbers(len(labels), 900)], minlength=10)
    assert counts.min() > 70


def test_a_larger_choice_has_the_smaller_one() -> None:
    assert set(chosen_numbers(1000, 30)) < set(chosen_numbers(1000, 40))
