"""Expressions of the Verilog that Yosys writes: parsed, with the widths that Verilog gives them.

`verilog.readable` changes them where that leaves every bit as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_TOKEN = re.compile(r"\d+'h[0-9a-f]+|\d+'[hb][01x]+|\$?\w+|<=|>=|==|!=|<<|>>|&&|\|\||\+:|[^\s\w]")
_CONSTANT = re.compile(r"(\d+)'h([0-9a-f]+)")

_UNKNOWN = re.compile(r"(\d+)'hx+")

_PRECEDENCE = {
    "||": 1,
    "&&": 2,
    "|": 3,
    "^": 4,
    "&": 5,
    "==": 6,
    "!=": 6,
    "<": 7,
    "<=": 7,
    ">": 7,
    ">=": 7,
    "<<": 8,
    ">>": 8,
    "+": 9,
    "-": 9,
    "*": 10,
}
_UNARY = frozenset("~-!&|")
_MODULAR = frozenset("+-*&|^")
"""Operators whose low bits need only the low bits of their operands."""

_COMPARISONS = frozenset(["==", "!=", "<", "<=", ">", ">="])
_SIMPLE = frozenset({"net", "constant", "unknown", "concat", "repeat", "signed", "call", "element"})
_ONE_BIT = _COMPARISONS | {"&&", "||"}


class VerilogError(Exception):
    """Verilog other than Yosys is known to write: a defect, as no input of a user leads here."""


@dataclass(slots=True, eq=False)
class Expression:
    """An expression, with its self-determined width and signedness (IEEE 1364-2005, 5.4 and 5.5).

    Parameters
    ----------
    kind
        `net` (whole, or bits of it), `constant`, `unknown`, `concat`, `repeat`, `signed`, `call`,
        `element` (of a memory), `?`, a binary operator, or a unary operator followed by `1`.
    width
        Bits.
    signed
        Whether it is signed.
    parts
        Its operands.
    name
        That of the net, function or memory.
    low
        The lowest bit of a net, if it is not the whole one.
    value
        That of a constant, or how often something is repeated.
    """

    kind: str
    width: int
    signed: bool = False
    parts: list[Expression] = field(default_factory=list)
    name: str = ""
    low: int | None = None
    value: int = 0

    @property
    def whole(self) -> bool:
        """Whether it is a net with all its bits."""
        return self.kind == "net" and self.low is None


def constant(width: int, value: int) -> Expression:
    """An unsigned constant."""
    return Expression("constant", width, value=value)


def unknown(width: int) -> Expression:
    """Bits that may be anything, because nothing depends on them."""
    return Expression("unknown", width)


class Parser:
    """Parses a line of a module.

    Parameters
    ----------
    widths
        The bits of each net, function and word of a memory.
    memories
        The names of memories.
    line
        The line.
    """

    def __init__(self, widths: Mapping[str, int], memories: set[str], line: str) -> None:
        self._widths, self._memories, self._line = widths, memories, line
        self._tokens = _TOKEN.findall(line)
        self._at = 0

    @property
    def next(self) -> str:
        """The next token; empty at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def accept(self, *tokens: str) -> bool:
        """Take these tokens if they come next."""
        if tuple(self._tokens[self._at : self._at + len(tokens)]) == tokens:
            self._at += len(tokens)
            return True
        return False

    def expect(self, token: str) -> None:
        """Take a token, which must come next."""
        if not self.accept(token):
            raise VerilogError(f"{self._line.strip()!r}: {token!r} is missing")

    def expression(self, least: int = 0) -> Expression:
        """An expression whose binary operators have at least this precedence."""
        left = self._unary()
        while (precedence := _PRECEDENCE.get(self.next, -1)) >= max(least, 0):
            operator = self._take()
            left = binary(operator, left, self.expression(precedence + 1))
        if not least and self.accept("?"):
            yes = self.expression()
            self.expect(":")
            left = choice(left, yes, self.expression())
        return left

    def primary(self) -> Expression:
        """A net, an element of a memory, a constant, a concatenation, a call, or parentheses."""
        token = self._take()
        if token == "{":
            return self._concatenation()
        if token == "(":
            inner = self.expression()
            self.expect(")")
            return inner
        if token == "$signed":
            self.expect("(")
            inner = self.expression()
            self.expect(")")
            return Expression("signed", inner.width, True, [inner])
        if found := _CONSTANT.fullmatch(token):
            return constant(int(found[1]), int(found[2], 16))
        if found := _UNKNOWN.fullmatch(token):
            return unknown(int(found[1]))
        if token not in self._widths:
            raise VerilogError(f"{self._line.strip()!r}: {token!r} is not known")
        width = self._widths[token]
        if self.accept("("):
            parts = [self.expression()]
            while self.accept(","):
                parts.append(self.expression())
            self.expect(")")
            return Expression("call", width, parts=parts, name=token)
        if token in self._memories:
            self.expect("[")
            index = self.expression()
            self.expect("]")
            element = Expression("element", width, parts=[index], name=token)
            return self._bits(element)
        return self._bits(Expression("net", width, name=token))

    def _bits(self, of: Expression) -> Expression:
        """The bits that a select behind a net or an element names."""
        if not self.accept("["):
            return of
        high = low = int(self._take())
        if self.accept(":"):
            low = int(self._take())
        self.expect("]")
        if (low, high - low + 1) != (0, of.width):
            of.low, of.width = low, high - low + 1
        return of

    def _unary(self) -> Expression:
        if self.next in _UNARY:
            operator = self._take()
            return unary(operator, self._unary())
        return self.primary()

    def _concatenation(self) -> Expression:
        if self.next.isdigit():
            count = int(self._take())
            self.expect("{")
            inner = self._concatenation()
            self.expect("}")
            part = inner.parts[0] if len(inner.parts) == 1 else inner
            return Expression("repeat", count * part.width, parts=[part], value=count)
        parts = [self.expression()]
        while self.accept(","):
            parts.append(self.expression())
        self.expect("}")
        return concatenation(parts)

    def _take(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1] if self._at <= len(self._tokens) else ""


def concatenation(parts: list[Expression]) -> Expression:
    """Expressions side by side, the highest bits first."""
    return Expression("concat", sum(part.width for part in parts), parts=parts)


def unary(operator: str, operand: Expression) -> Expression:
    """An operator before its operand."""
    if operator in "|&" and operand.kind == "net" and operand.width == 1:
        return operand
    if operator in "~-":
        return Expression(operator + "1", operand.width, operand.signed, [operand])
    if operator == "!" and operand.width > 1:
        return binary("==", operand, constant(operand.width, 0))
    return Expression(operator + "1", 1, parts=[operand])


def binary(operator: str, left: Expression, right: Expression) -> Expression:
    """An operator between its operands."""
    if operator in _ONE_BIT:
        return Expression(operator, 1, parts=[left, right])
    if operator in {"<<", ">>"}:
        return Expression(operator, left.width, left.signed, [left, right])
    if operator == "|" and right.kind == "net" and text(left) == text(constant(right.width, 0)):
        return right
    width, signed = max(left.width, right.width), left.signed and right.signed
    return Expression(operator, width, signed, [left, right])


def bit(of: Expression, number: Expression) -> Expression:
    """A bit of an expression; 0 beyond its width."""
    return unary("|", binary("&", of, binary("<<", constant(of.width, 1), number)))


def choice(condition: Expression, yes: Expression, no: Expression) -> Expression:
    """One of two expressions."""
    if text(yes) == text(no):
        return yes
    width, signed = max(yes.width, no.width), yes.signed and no.signed
    return Expression("?", width, signed, [condition, yes, no])


@dataclass(slots=True, eq=False)
class Place:
    """Where an expression stands.

    Parameters
    ----------
    parts, index
        The list with the expression, and its place there.
    context
        The width to which Verilog extends it there.
    root
        Whether it is the whole right side of an assignment, so that its own sign extends it.
    """

    parts: list[Expression]
    index: int
    context: int
    root: bool

    @property
    def expression(self) -> Expression:
        """The expression."""
        return self.parts[self.index]


def places(roots: list[Expression], index: int, context: int) -> Iterator[Place]:
    """Every place in an expression, which is extended to the width `context`; the outer first."""
    stack = [Place(roots, index, max(context, roots[index].width), True)]
    while stack:
        place = stack.pop()
        yield place
        expression = place.expression
        parts, kind = expression.parts, expression.kind
        widths = [part.width for part in parts]
        if kind in _COMPARISONS:
            widths = [max(widths)] * 2
        elif kind == "?":
            widths = [widths[0], place.context, place.context]
        elif kind in _MODULAR or kind in {"~1", "-1"}:
            widths = [place.context] * len(parts)
        elif kind in {"<<", ">>"}:
            widths[0] = place.context
        stack += [Place(parts, at, widths[at], False) for at in reversed(range(len(parts)))]


def truncated(of: Expression, width: int) -> Expression | None:
    """An expression with the low bits of another one, or nothing if there is no simple one."""
    if of.width <= width:
        return of
    kind = of.kind
    if kind == "constant":
        return constant(width, of.value & ((1 << width) - 1))
    if kind == "unknown":
        return unknown(width)
    if kind == "net":
        return Expression("net", width, name=of.name, low=of.low or 0)
    if kind == "concat":
        kept: list[Expression] = []
        for part in reversed(of.parts):
            room = width - sum(each.width for each in kept)
            if room:
                low = truncated(part, room)
                if low is None:
                    return None
                kept.insert(0, low)
        return kept[0] if len(kept) == 1 else concatenation(kept)
    if kind == "repeat" and width % of.parts[0].width == 0:
        count = width // of.parts[0].width
        return Expression("repeat", width, parts=of.parts, value=count)
    if kind == "signed":
        inner = truncated(of.parts[0], width)
        return inner and Expression("signed", inner.width, True, [inner])
    if kind in _MODULAR or kind in {"?", "~1"}:
        parts = [truncated(part, width) for part in of.parts[kind == "?" :]]
        if any(part is None for part in parts):
            return None
        operands = [part for part in parts if part is not None]
        if kind == "?":
            return choice(of.parts[0], *operands)
        if kind == "~1":
            return unary("~", operands[0])
        return binary(kind, *operands)
    return None


def is_modular(of: Expression) -> bool:
    """Whether low bits of an expression depend on nothing above them, in any context."""
    if of.kind in _MODULAR or of.kind == "~1":
        return all(map(is_modular, of.parts))
    if of.kind == "?":
        return all(map(is_modular, of.parts[1:]))
    return of.kind in {"net", "constant", "unknown", "concat", "repeat", "signed"}


def extended(of: Expression, width: int) -> Expression:
    """The same number with more bits: its sign, or zeros, before it."""
    more = width - of.width
    if more <= 0:
        return of
    if of.kind == "constant":
        return constant(width, of.value)
    if of.kind != "signed":
        return concatenation([constant(more, 0), *_listed(of)])
    inner = of.parts[0]
    first = inner.parts[0] if inner.kind == "concat" else inner
    if first.kind == "constant":
        negative = first.value >> (first.width - 1)
        filled = ((((1 << more) - 1) * negative) << first.width) | first.value
        sign = constant(more + first.width, filled)
        rest = inner.parts[1:] if inner.kind == "concat" else []
        whole = concatenation([sign, *rest]) if rest else sign
    elif first.kind == "net":
        top = (first.low or 0) + first.width - 1
        bit = first if first.width == 1 else Expression("net", 1, name=first.name, low=top)
        sign = Expression("repeat", more, parts=[bit], value=more)
        whole = concatenation([sign, *_listed(inner)])
    else:
        return of
    return Expression("signed", width, True, [whole])


def _listed(of: Expression) -> Sequence[Expression]:
    return of.parts if of.kind == "concat" else [of]


def tidied(of: Expression, context: int) -> Expression:
    """The same bits with operands of equal widths, where Verilog would extend them by itself.

    Without signs where they make no difference: in sums of the width of their operands. A sum may
    have a bit more than its operands.
    """
    kind, parts = of.kind, of.parts
    if kind in _COMPARISONS:
        width = max(part.width for part in parts)
        if parts[0].signed == parts[1].signed:
            return Expression(kind, 1, parts=[extended(part, width) for part in parts])
    elif kind in {"+", "-"}:
        least = context - 1 if of.width < context else context
        if of.signed:
            if of.width == context or min(part.width for part in parts) < least:
                parts = [extended(part, context) for part in parts]
                if all(part.kind == "signed" and part.width == context for part in parts):
                    return binary(kind, *(part.parts[0] for part in parts))
        elif not any(part.signed for part in parts):
            one = [part.kind == "constant" and part.value == 1 for part in parts]
            parts = [
                part if is_one else extended(part, least)
                for part, is_one in zip(parts, one, strict=True)
            ]
            return binary(kind, *parts)
    return of


def size(of: Expression) -> int:
    """The number of operators in an expression."""
    return (of.kind not in _SIMPLE) + sum(map(size, of.parts))


def text(of: Expression) -> str:
    """The Verilog of an expression."""
    kind, parts = of.kind, of.parts
    if kind in {"net", "element"}:
        name = f"{of.name}[{text(parts[0])}]" if kind == "element" else of.name
        if of.low is None:
            return name
        high = of.low + of.width - 1
        return f"{name}[{high}]" if high == of.low else f"{name}[{high}:{of.low}]"
    if kind == "constant":
        return f"{of.width}'h{of.value:0{(of.width + 3) // 4}x}"
    if kind == "unknown":
        return f"{of.width}'h{'x' * ((of.width + 3) // 4)}"
    if kind == "concat":
        return f"{{ {', '.join(map(text, parts))} }}"
    if kind == "repeat":
        return f"{{ {of.value}{{{text(parts[0])}}} }}"
    if kind == "signed":
        return f"$signed({text(parts[0])})"
    if kind == "call":
        return f"{of.name}({', '.join(map(text, parts))})"
    if kind == "?":
        no = text(parts[2]) if parts[2].kind == "?" else _operand(parts[2])
        return f"{_operand(parts[0])} ? {_operand(parts[1])} : {no}"
    if len(parts) == 1:
        inner = text(parts[0])
        # Icarus Verilog takes no operator right behind another one.
        return f"{kind[0]}{inner}" if parts[0].kind in _SIMPLE else f"{kind[0]}({inner})"
    left = text(parts[0]) if kind == parts[0].kind in {"&", "|"} else _operand(parts[0])
    right = text(parts[1]) if kind == parts[1].kind in {"&", "|"} else _operand(parts[1])
    return f"{left} {kind} {right}"


def _operand(of: Expression) -> str:
    inner = of.parts[0] if of.kind in {"~1", "!1"} else of
    return text(of) if inner.kind in _SIMPLE else f"({text(of)})"
