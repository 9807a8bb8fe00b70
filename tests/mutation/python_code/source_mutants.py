"""Mutants of Python modules: planted by hand, or made by Cosmic Ray; each is a text of a module.

Cosmic Ray changes the text of a module and leaves the rest alone. mutmut 3 leaves out decorated
functions, among them every property, and module-level data, which is much of what decides here.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Mapping, Sequence
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

_DECLARATION = re.compile(r"\b(frozen|strict|kw_only)=$")

PICTURES = "scripts/pages/"
"""The folder of the modules that draw."""

_LOOKS = re.compile(
    "size|width|height|spacing|padding|offset|columns|dx|dy|opacity|symbolOpacity|strokeWidth"
    "|strokeDash|fontSize|labelAngle|labelLimit|labelSeparation|titleLimit|tickCount|extent"
)
_SIZE = re.compile("_([A-Z]+_)*(WIDTH|HEIGHT|MARGINS|CHARACTERS|LABEL_LIMIT|GAP|BACKGROUND)")


@dataclass(frozen=True)
class Mutant:
    """A change of a module.

    Parameters
    ----------
    module
        Its path in the tree.
    line
        The first line that differs, from 1.
    statement
        The lines of the statement that differs, of a compound one those of its head; None if it
        runs on import.
    before, after
        The text that differs: of a line, or of a planted fault.
    text
        The whole module with the change.
    """

    module: str
    line: int
    statement: range | None
    before: str
    after: str
    text: str


@dataclass(frozen=True)
class Place:
    """A place of a module that Cosmic Ray changes.

    Parameters
    ----------
    module
        The module's path in the tree.
    kind
        The operator that changes it, without `core/`.
    occurrence
        The number of the place among those that the operator changes in the module.
    """

    module: str
    kind: str
    occurrence: int

    def mutant(self, root: Path) -> Mutant:
        """The changed module."""
        from cosmic_ray import plugins
        from cosmic_ray.mutating import mutate_code

        source = (root / self.module).read_text("utf-8")
        operator = plugins.get_operator(f"core/{self.kind}")()
        return changed(self.module, source, mutate_code(source, operator, self.occurrence))


@dataclass(frozen=True)
class PlantedFault:
    """A fault that was once planted by hand: the text of a module, and what it becomes.

    Parameters
    ----------
    module
        The module's path in the tree.
    kind
        The group of the fault, and its words.
    before, after
        The text, which is in the module once, and the text in its place.
    """

    module: str
    kind: str
    before: str
    after: str
    occurrence: int = 0

    def mutant(self, root: Path) -> Mutant:
        """The changed module.

        Raises
        ------
        ValueError
            The text is not there exactly once.
        """
        source = (root / self.module).read_text("utf-8")
        if source.count(self.before) != 1:
            raise ValueError(
                f"{self.module}: has {source.count(self.before)} times instead of once: "
                f"{self.before}"
            )
        line = source[: source.index(self.before)].count("\n") + 1
        text = source.replace(self.before, self.after)
        lines = statement(source, line)
        return Mutant(self.module, line, lines, self.before, self.after, text)


def modules(root: Path, area: str) -> list[str]:
    """The modules of an area, as paths in the tree."""
    found = sorted(path for pattern in AREAS[area] for path in root.glob(pattern))
    return [path.relative_to(root).as_posix() for path in found]


def places(root: Path, module: str) -> list[Place]:
    """Every place of a module, but for those of which nothing depends that a test could hold.

    Annotations and imports for them are not evaluated; `frozen` and the like tell mistakes in the
    code itself; and how large, how far apart, at which angle and how opaque the marks and texts of
    a picture are is a matter of looks.
    """
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast

    source = (root / module).read_text("utf-8")
    nodes, lines = list(ast_nodes(get_ast(source))), source.splitlines()
    unread = annotated(source) + (looks(source) if module.startswith(PICTURES) else [])
    found = []
    for name in OPERATORS:
        operator = plugins.get_operator(name)()
        starts = [start for node in nodes for start, _ in operator.mutation_positions(node)]
        for occurrence, (line, column) in enumerate(starts):
            declares = _DECLARATION.search(lines[line - 1][:column])
            if not declares and not any(a <= (line, column) < b for a, b in unread):
                found.append(Place(module, name.removeprefix("core/"), occurrence))
    return found


Span = tuple[tuple[int, int], tuple[int, int]]
"""A start and an end: a line from 1, and a column."""


def annotated(source: str) -> list[Span]:
    """The place of each annotation, and of each `if TYPE_CHECKING`."""
    found: list[ast.expr | None] = []
    heads: list[Span] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.AnnAssign, ast.arg)):
            found.append(node.annotation)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.append(node.returns)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            heads.append(((node.lineno, node.col_offset), _span(node.test)[1]))
    return heads + [_span(each) for each in found if each is not None]


def looks(source: str) -> list[Span]:
    """The place of each size, distance, angle and opacity in a module that draws."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.keyword) and _LOOKS.fullmatch(node.arg or ""):
            found.append(node.value)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                name = key.value if isinstance(key, ast.Constant) else None
                if isinstance(name, str) and _LOOKS.fullmatch(name):
                    found.append(value)
        elif isinstance(node, ast.Assign):
            names = [each.id for each in ast.walk(node.targets[0]) if isinstance(each, ast.Name)]
            if all(map(_SIZE.fullmatch, names)):
                found.append(node.value)
    return [_span(each) for each in found]


def _span(node: ast.expr) -> Span:
    return (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)


def changed(module: str, source: str, text: str) -> Mutant:
    """The mutant of a module that has another text."""
    pairs = enumerate(zip_longest(source.splitlines(), text.splitlines(), fillvalue=""), 1)
    line, before, after = next((n, a, b) for n, (a, b) in pairs if a != b)
    return Mutant(module, line, statement(source, line), before.strip(), after.strip(), text)


def statement(source: str, line: int) -> range | None:
    """The lines of the innermost statement around a line, of a compound one those of its head.

    None for what runs on import, which is not in the body of a function.
    """
    around, called = range(line, line + 1), False
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt):
            start, end = node.lineno, (node.end_lineno or 0) + 1
            if start <= line < end:
                inner = (each for each in ast.iter_child_nodes(node) if isinstance(each, ast.stmt))
                first = min((each.lineno for each in inner), default=end)
                around = range(start, max(first, start + 1))
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    called = called or line >= first
    return around if called else None


def sample(by_area: Mapping[str, Sequence[Place]], seed: int) -> list[Place]:
    """All places at random, the areas in turn, so that the first ones are a sample of each."""
    shuffled = []
    for area, each in by_area.items():
        mixed = list(each)
        random.Random(f"{seed} {area}").shuffle(mixed)
        shuffled.append(mixed)
    return [place for turn in zip_longest(*shuffled) for place in turn if place is not None]


def area_of(module: str) -> str:
    """The area of a module."""
    return module.partition("/")[0]
