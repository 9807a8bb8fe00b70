"""Mutants of Python modules: planted by hand, or made by Cosmic Ray; each is a text of a module.

Cosmic Ray changes the text of a module and leaves the rest alone. mutmut 3 leaves out decorated
functions, among them every property, and module-level data, which is much of what decides here.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

AREAS: dict[str, tuple[str, ...]] = {
    "golden": ("golden/**/*.py",),
    "hw": ("hw/planning/*.py",),
    "sim": ("sim/record/*.py", "sim/report.py", "sim/timing.py"),
    "scripts": (
        *("scripts/sweeping/*.py", "scripts/pages/*.py", "scripts/comparing/*.py"),
        *("scripts/commands/compare.py", "scripts/commands/sweep.py"),
    ),
}
"""The modules that are mutated, by folder."""

# One replacement for each operator: others of the same place differ little.
OPERATORS = tuple(
    f"core/{name}"
    for name in (
        *("NumberReplacer", "AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue"),
        *("ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceBreakWithContinue"),
        *("ReplaceContinueWithBreak", "ZeroIterationForLoop", "ReplaceUnaryOperator_Delete_USub"),
        *("ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_Delete_Invert"),
        *(
            f"ReplaceBinaryOperator_{pair}"
            for pair in (
                *("Add_Sub", "Sub_Add", "Mul_Add", "Div_Mul", "FloorDiv_Mul", "Mod_FloorDiv"),
                *("Pow_Mul", "RShift_LShift", "LShift_RShift", "BitOr_BitAnd", "BitAnd_BitOr"),
                "BitXor_BitOr",
            )
        ),
        *(
            f"ReplaceComparisonOperator_{pair}"
            for pair in (
                *("Eq_NotEq", "NotEq_Eq", "Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt"),
                *("Is_IsNot", "IsNot_Is"),
            )
        ),
    )
)

_DECLARATION = re.compile(r"\b(?:frozen|strict|kw_only) ?= ?False")


@dataclass(frozen=True)
class Mutant:
    """A change of a module.

    Parameters
    ----------
    module
        Its path in the tree.
    line
        The first line that differs, from 1.
    kind
        The operator that made it, or the group and the words of a planted fault.
    before, after
        The text that differs: of a line, or of a planted fault.
    text
        The whole module with the change.
    """

    module: str
    line: int
    kind: str
    before: str
    after: str
    text: str

    @property
    def key(self) -> str:
        """What names it as long as its line is not edited."""
        return f"{self.module}: {self.before} -> {self.after}"


def modules(root: Path, area: str) -> list[str]:
    """The modules of an area, as paths in the tree."""
    found = sorted(path for pattern in AREAS[area] for path in root.glob(pattern))
    return [path.relative_to(root).as_posix() for path in found]


def mutants(root: Path, module: str) -> list[Mutant]:
    """Every mutant of a module, but for those that only matter to who edits the code.

    Annotations are not evaluated; `frozen` and `strict` tell mistakes in the code itself.
    """
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code

    source = (root / module).read_text("utf-8")
    nodes, unread = list(ast_nodes(get_ast(source))), annotated_places(source)
    made = []
    for name in OPERATORS:
        operator = plugins.get_operator(name)()
        places = [place for node in nodes for place in operator.mutation_positions(node)]
        for occurrence, (start, _) in enumerate(places):
            if not any(first <= start < end for first, end in unread):
                text = mutate_code(source, operator, occurrence)
                if text is not None:
                    made += changed(module, name.removeprefix("core/"), source, text)
    return [each for each in made if not _declares_less(each)]


def _declares_less(mutant: Mutant) -> bool:
    return len(_DECLARATION.findall(mutant.after)) > len(_DECLARATION.findall(mutant.before))


def annotated_places(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The start and the end of each annotation: a line from 1, and a column."""
    found: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.AnnAssign, ast.arg)):
            found.append(node.annotation)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.append(node.returns)
    return [
        ((each.lineno, each.col_offset), (each.end_lineno or 0, each.end_col_offset or 0))
        for each in found
        if each is not None
    ]


def changed(module: str, kind: str, source: str, text: str) -> list[Mutant]:
    """The mutant of a module that has another text; none if it has not."""
    pairs = enumerate(zip_longest(source.splitlines(), text.splitlines(), fillvalue=""), 1)
    for line, (before, after) in pairs:
        if before != after:
            return [Mutant(module, line, kind, before.strip(), after.strip(), text)]
    return []


def planted(root: Path, faults: Iterable[Mapping[str, str]]) -> list[Mutant]:
    """The mutants of faults that were planted by hand.

    Raises
    ------
    ValueError
        A fault's text is not there exactly once; names it.
    """
    made = []
    for fault in faults:
        source = (root / fault["file"]).read_text("utf-8")
        before, after = fault["before"], fault["after"]
        if source.count(before) != 1:
            raise ValueError(
                f"{fault['file']}: has {source.count(before)} times instead of once: {before}"
            )
        line = source[: source.index(before)].count("\n") + 1
        kind = f"{fault['group']}: {fault['fault']}"
        text = source.replace(before, after)
        made.append(Mutant(fault["file"], line, kind, before, after, text))
    return made


def sample(by_area: Mapping[str, Sequence[Mutant]], seed: int) -> list[Mutant]:
    """All mutants at random, the areas in turn, so that the first ones are a sample of each."""
    shuffled = []
    for area, each in by_area.items():
        mixed = list(each)
        random.Random(f"{seed} {area}").shuffle(mixed)
        shuffled.append(mixed)
    return [mutant for turn in zip_longest(*shuffled) for mutant in turn if mutant is not None]


def area_of(module: str) -> str:
    """The area of a module."""
    return module.partition("/")[0]
