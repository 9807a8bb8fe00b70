"""Makes the Verilog of Yosys readable, without a change of any bit in any cycle.

Nets without a name are written where they are read, or named after what they are; ports are
declared in the header; sums have no bits that nobody reads; operands have equal widths. What an
expression may become follows from the rules of Verilog (`verilog.expressions`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from systolith.hw.streams.module_names import RESERVED
from systolith.hw.verilog.expressions import (
    Expression,
    Parser,
    Place,
    VerilogError,
    bit,
    concatenation,
    is_modular,
    places,
    size,
    text,
    tidied,
    truncated,
)
from systolith.hw.verilog.net_names import Namer
from systolith.hw.verilog.wrapping import COLUMNS, start_value, wrapped

_MOST_OPERATORS = 4
_MOST_CHARACTERS = 90
"""Of an expression that is written where its net is read."""

UNUSED = "UNUSED"
"""The warning of Verilator about bits that nobody reads, by the name that all its versions know."""

_DECLARATION = re.compile(r"  (input|output|wire|reg) (?:\[(\d+):0\] )?(\w+)(?: = (.*))?;")
_NAME = re.compile(r"\w+")
_WORD = re.compile(r"    (\w+)\[\d+\] = (.*);")
_MEMORY = re.compile(r"  reg (?:\[(\d+):0\] )?(\w+) \[\d+:0\];")
_FUNCTION = re.compile(r"  function \[(\d+):0\] (\w+);")
_CLOCKED = re.compile(r"  always @\(posedge (\w+)\)")
_INSTANCE = re.compile(r"  (\w+) (\w+) \(")
_CONNECTION = re.compile(r"    \.(\w+)\((.*)\),?")
_ESCAPED = re.compile(r"\\(\S+) ")
"""The names that Yosys gives to the registers of single bits; they get better ones."""

_TARGET = re.compile(r"^  assign (.*?) = ", re.MULTILINE)
_ANONYMOUS = re.compile(r"\b_\d+_\b")
_NUMBERS = re.compile(r"(\d+)")

_PORT_GROUPS = ("aclk", "aresetn", "clk", "rst", "s_axis_", "i_", "m_axis_", "o_", "")
_PORT_SIGNALS = ("data", "index", "score", "payload", "user", "valid", "ready", "last")

_FEW_WORDS = 8
"""Fewer words of a memory that start alike are written one a line."""


@dataclass(slots=True)
class _Net:
    width: int
    register: bool = False
    port: str = ""
    start: str = ""
    attribute: str = ""


@dataclass(slots=True)
class _Line:
    """A line with a NUL in place of each expression: a target, its value, or something read."""

    form: str
    expressions: list[Expression] = field(default_factory=list)
    target: int | None = None
    value: int | None = None


@dataclass(slots=True)
class _Item:
    """Lines that belong together, and the name of an instance.

    The kinds are `assign`, `register`, `memory`, its `port`, and `instance`.
    """

    kind: str
    lines: list[_Line]
    name: str = ""


@dataclass(slots=True)
class _Use:
    """Where a net is read: a place in a line of an item."""

    place: Place
    line: _Line
    item: _Item


def readable(module: str) -> str:
    """The text of a module that Yosys wrote, for people to read.

    Raises
    ------
    VerilogError
        The text is not what Yosys is known to write.
    """
    escaped = dict.fromkeys(_ESCAPED.findall(module))
    plain = {name: f"_{10**9 + number}_" for number, name in enumerate(escaped)}
    found = _Module(_ESCAPED.sub(lambda name: plain[name[1]], module))
    found.drop_unread_bits()
    found.drop_copies()
    found.inline()
    found.name_the_rest()
    return "".join(f"{line}\n" for line in found.write())


class _Module:
    """A module: its nets by name, and its items in the order of the text.

    `definitions` are the items that assign an anonymous net as a whole; `uses` are where anonymous
    nets are read.
    """

    def __init__(self, module: str) -> None:
        self._module = module[len("module ") : module.index("(")].strip()
        self._nets: dict[str, _Net] = {}
        self._widths: dict[str, int] = {}
        self._memories: set[str] = set()
        self._functions: dict[tuple[int, int], str] = {}
        self._function_of: dict[str, str] = {}
        self._items: list[_Item] = []
        self._unread = _unread(module)
        self._names = set(_NAME.findall(module))
        self._clock = ""
        blocks = list(self._blocks(module.splitlines()[1:-1]))
        for kind, lines in blocks:
            self._read(kind, lines)
        self._definitions = {
            item.lines[0].expressions[0].name: item
            for item in self._items
            if item.kind == "assign"
            and item.lines[0].expressions[0].whole
            and _ANONYMOUS.fullmatch(item.lines[0].expressions[0].name)
        }
        self._uses: dict[str, list[_Use]] = {}
        self._order: list[str] = []

    def _blocks(self, lines: list[str]) -> Iterator[tuple[str, list[str]]]:
        """The lines of each item; declarations are read at once."""
        attribute = ""
        at = 0
        while at < len(lines):
            line = lines[at]
            at += 1
            if line.startswith("  assign "):
                yield "assign", [line]
            elif found := _MEMORY.fullmatch(line):
                self._memories.add(found[2])
                self._widths[found[2]] = int(found[1] or 0) + 1
                starts = lines[at : at + 1] == ["  initial begin"]
                end = lines.index("  end", at) + 1 if starts else at
                yield (
                    "memory",
                    [attribute, *lines[at - 1 : end]] if attribute else lines[at - 1 : end],
                )
                attribute = ""
                at = end
            elif found := _DECLARATION.fullmatch(line):
                self._declare(found, attribute)
                attribute = ""
            elif line.startswith(("  (* keep", "  (* rom_style")):
                attribute = line
            elif found := _FUNCTION.fullmatch(line):
                end = lines.index("  endfunction", at) + 1
                self._declare_function(found[2], int(found[1]) + 1, lines[at:end])
                at = end
            elif (found := _CLOCKED.match(line)) and self._clock in ("", found[1]):
                self._clock = found[1]
                end = at
                if line.endswith(" begin"):
                    end = lines.index("  end", at) + 1
                else:
                    while end < len(lines) and lines[end].startswith("    "):
                        end += 1
                yield "register", lines[at - 1 : end]
                at = end
            elif _INSTANCE.fullmatch(line):
                end = lines.index("  );", at) + 1
                yield "instance", lines[at - 1 : end]
                at = end
            else:
                raise VerilogError(f"{self._module}: {line!r} is not known")

    def _declare(self, declaration: re.Match[str], attribute: str) -> None:
        kind, high, name, start = declaration.groups()
        net = self._nets.setdefault(name, _Net(int(high or 0) + 1))
        self._widths[name] = net.width
        if kind in {"input", "output"}:
            net.port = kind
        net.register |= kind == "reg"
        net.start = start or net.start
        net.attribute = attribute or net.attribute

    def _declare_function(self, name: str, width: int, lines: list[str]) -> None:
        """A function that chooses a value by a one-hot selection: one for all of its shape."""
        count = sum("'b" in line for line in lines)
        shared = self._functions.setdefault((count, width), f"select_{count}x{width}")
        self._function_of[name] = shared
        self._widths[name] = width

    def _shorter(self, memory: list[str]) -> list[str]:
        """A memory's lines, with a loop for its words if all start with the same value."""
        starts = [found for line in memory if (found := _WORD.fullmatch(line))]
        if len(starts) < _FEW_WORDS or len({found[2] for found in starts}) > 1:
            return memory
        name, value = starts[0].groups()
        declared = memory[: memory.index("  initial begin")]
        block, word = self._free_name(f"{name}_words"), self._free_name("word")
        return [
            *declared,
            f"  initial begin : {block}",
            f"    integer {word};",
            f"    for ({word} = 0; {word} < {len(starts)}; {word} = {word} + 1)",
            f"      {name}[{word}] = {value};",
            "  end",
        ]

    def _free_name(self, wanted: str) -> str:
        """A name that nothing in the module has."""
        while wanted in self._names:
            wanted += "_"
        return wanted

    def _read(self, kind: str, lines: list[str]) -> None:
        if kind == "memory":
            self._items.append(_Item(kind, [_Line(line) for line in self._shorter(lines)]))
        elif kind == "instance":
            self._items.append(_Item(kind, list(map(self._connection, lines)), lines[0].split()[1]))
        elif kind == "assign":
            line = self._assignment(lines[0])
            if line is not None:
                self._items.append(_Item(kind, [line]))
        else:
            found = [self._statement(line) for line in lines[1:] if line != "  end"]
            _enclose_nested(found)
            ports = any(each.kind == "element" for line in found for each in line.expressions)
            self._items.append(_Item("port" if ports else kind, found))

    def _connection(self, line: str) -> _Line:
        found = _CONNECTION.fullmatch(line)
        if found is None:
            return _Line(line)
        expression = Parser(self._widths, self._memories, found[2]).expression()
        return _Line(f"    .{found[1]}(\0){',' * line.endswith(',')}", [expression])

    def _assignment(self, line: str) -> _Line | None:
        """An assignment, or nothing if nobody reads what it assigns."""
        parser = Parser(self._widths, self._memories, line)
        parser.expect("assign")
        target = parser.primary()
        parser.expect("=")
        value = self._renamed(parser.expression())
        while (top := target.parts[0] if target.kind == "concat" else target).name in self._unread:
            if top is target:
                return None
            low = truncated(value, target.width - top.width) if is_modular(value) else None
            if low is None:
                break
            rest = target.parts[1:]
            target, value = concatenation(rest) if len(rest) > 1 else rest[0], low
        if value.kind == ">>" and target.width == 1 < value.width:
            value = bit(*value.parts)
        value = tidied(value, max(target.width, value.width))
        return _Line("  assign \0 = \0;", [target, value], 0, 1)

    def _renamed(self, value: Expression) -> Expression:
        if value.kind == "call":
            value.name = self._function_of[value.name]
        return value

    def _statement(self, line: str) -> _Line:
        """A line of an `always` block: conditions, and perhaps an assignment."""
        parser = Parser(self._widths, self._memories, line)
        found = _Line(line[: len(line) - len(line.lstrip())])
        words: list[str] = []
        if parser.accept("else"):
            words.append("else")
        if parser.accept("if", "("):
            found.expressions.append(parser.expression())
            parser.expect(")")
            words.append("if (\0)")
        if parser.next in {"begin", "end"}:
            words.append(parser.next)
        elif parser.next:
            target = parser.primary()
            parser.expect("<=")
            found.target, found.value = len(found.expressions), len(found.expressions) + 1
            found.expressions += [target, parser.expression()]
            words.append("\0 <= \0;")
        found.form += " ".join(words)
        return found

    def _uses_of(self, item: _Item) -> None:
        """Note where an item reads anonymous nets."""
        for line in item.lines:
            for number, expression in enumerate(line.expressions):
                if number == line.target:
                    found = [
                        place
                        for index in range(
                            len(expression.parts) if expression.kind == "element" else 0
                        )
                        for place in places(expression.parts, index, 0)
                    ]
                elif number == line.value:
                    target = line.expressions[number - 1]
                    found = list(places(line.expressions, number, target.width))
                else:
                    found = list(places(line.expressions, number, 0))
                for place in found:
                    read = place.expression
                    if read.kind == "net" and _ANONYMOUS.fullmatch(read.name):
                        place.root &= number == line.value
                        self._uses.setdefault(read.name, []).append(_Use(place, line, item))

    def drop_unread_bits(self) -> None:
        """Make anonymous nets as narrow as what is read of them; notes all uses."""
        for item in self._items:
            if not (item.kind == "assign" and self._defines(item)):
                self._uses_of(item)
        for name in self._readers_first():
            item = self._definitions[name]
            uses = self._uses.get(name, [])
            if not uses:
                self._items.remove(item)
                del self._definitions[name], self._nets[name]
                continue
            line = item.lines[0]
            target, value = line.expressions
            used = max(_high(use.place.expression) for use in uses) + 1
            if used < target.width and is_modular(value):
                low = truncated(value, used)
                if low is not None:
                    self._nets[name].width = self._widths[name] = used
                    target.width = used
                    for use in uses:
                        read = use.place.expression
                        if (read.low or 0, read.width) == (0, used):
                            read.low = None
                    line.expressions[1] = tidied(low, used)
            self._uses_of(item)

    def _defines(self, item: _Item) -> bool:
        return self._definitions.get(item.lines[0].expressions[0].name) is item

    def _readers_first(self) -> list[str]:
        """The names of `definitions`, each after all that read it."""
        done: dict[str, None] = {}
        stack: list[tuple[str, bool]] = [(name, False) for name in self._definitions]
        while stack:
            name, ready = stack.pop()
            if name in done:
                continue
            if ready:
                done[name] = None
                continue
            stack.append((name, True))
            value = self._definitions[name].lines[0].expressions
            stack += [
                (place.expression.name, False)
                for place in places(value, 1, 0)
                if place.expression.kind == "net" and place.expression.name in self._definitions
            ]
        self._order = list(done)
        return self._order[::-1]

    def drop_copies(self) -> None:
        """Give an anonymous net the name of the net that it is assigned to as a whole."""
        targets: dict[str, list[Expression]] = {}
        for item in self._items:
            for line in item.lines:
                if line.target is not None and line.expressions[line.target].kind == "net":
                    target = line.expressions[line.target]
                    targets.setdefault(target.name, []).append(target)
        for item in list(self._items):
            if item.kind != "assign":
                continue
            target, value = item.lines[0].expressions
            if (
                target.whole
                and value.whole
                and target.width == value.width
                and not _ANONYMOUS.fullmatch(target.name)
                and _ANONYMOUS.fullmatch(value.name)
                and value.name in targets
            ):
                old = value.name
                for use in self._uses.pop(old):
                    use.place.expression.name = target.name
                for each in targets.pop(old):
                    each.name = target.name
                net, dropped = self._nets[target.name], self._nets.pop(old)
                net.register |= dropped.register
                net.start = net.start or dropped.start
                self._definitions.pop(old, None)
                self._items.remove(item)

    def inline(self) -> None:
        """Write the expression of an anonymous net where it is read, if that is the only place.

        The expression must have the same value there: it has the width of the net, is unsigned and
        stands where Verilog extends it no further; or it becomes a whole assignment of that width.
        """
        dropped = set()
        for name in self._order:
            item = self._definitions.get(name)
            if item is None:
                continue
            target, value = item.lines[0].expressions
            uses = self._uses.get(name, [])
            short = size(value) <= _MOST_OPERATORS and len(text(value)) <= _MOST_CHARACTERS
            negation = value.kind in {"~1", "!1"} and value.parts[0].kind == "net"
            if not uses or not (negation or (len(uses) == 1 and (short or value.kind == "call"))):
                continue
            if all(_fits(value, target.width, use) for use in uses):
                for use in uses:
                    use.place.parts[use.place.index] = value
                    self._moved(value, use)
                dropped.add(id(item))
                del self._definitions[name], self._nets[name], self._uses[name]
        self._items = [item for item in self._items if id(item) not in dropped]

    def _moved(self, value: Expression, to: _Use) -> None:
        """Note that what an expression reads is now read elsewhere."""
        for place in places([value], 0, 0):
            for use in self._uses.get(place.expression.name, []):
                if use.place.parts is place.parts or use.place.expression is place.expression:
                    use.line, use.item = to.line, to.item

    def name_the_rest(self) -> None:
        """Name the anonymous nets that are left."""
        instances = {item.name for item in self._items if item.kind == "instance"}
        functions = self._functions.values()
        namer = Namer({*self._nets, *self._memories, *RESERVED, *functions, *instances})
        left = [name for name in self._nets if _ANONYMOUS.fullmatch(name)]
        driven = [name for name in left if name not in self._definitions]
        left = [name for name in self._order if name in self._definitions]
        for name in reversed(driven):
            namer.name(name, self._output_of_instance(name) or self._name_by_use(namer, name))
        for name in left:
            wanted = self._own_name(namer, name)
            if wanted:
                namer.name(name, wanted)
        for name in reversed(left):
            if name not in namer.names:
                namer.name(name, self._name_by_use(namer, name))
        for item in self._items:
            for line in item.lines:
                for number in range(len(line.expressions)):
                    for place in places(line.expressions, number, 0):
                        read = place.expression
                        read.name = namer.names.get(read.name, read.name)
        self._nets = {namer.names.get(name, name): net for name, net in self._nets.items()}

    def _own_name(self, namer: Namer, name: str) -> str:
        """What an anonymous net is by itself; empty if that is not simple.

        It may be a register's next value, an instance's output, or a short expression.
        """
        for use in self._uses.get(name, []):
            if use.item.kind in {"register", "port"} and use.place.root:
                target = use.line.expressions[-2]
                if target.kind == "net" and namer.has_name(target):
                    return namer.net(target) + "_next"
        return namer.description(self._definitions[name].lines[0].expressions[1])

    def _output_of_instance(self, name: str) -> str:
        """The instance that drives a net, and its port; empty if none does."""
        for item in self._items:
            if item.kind == "instance":
                for line in item.lines:
                    if line.expressions and line.expressions[0].name == name:
                        return f"{item.name}_{line.form.strip(' .').split('(')[0]}"
        return ""

    def _name_by_use(self, namer: Namer, name: str) -> str:
        """A name after the first net or register that an anonymous net leads to."""
        definition = self._definitions.get(name)
        value = definition.lines[0].expressions[1] if definition else None
        word = namer.operation(value)
        for use in self._uses.get(name, []):
            lines = [use.line, *use.item.lines]
            line = next((each for each in lines if each.target is not None), None)
            if line is not None and line.target is not None:
                target = line.expressions[line.target]
                if target.kind == "concat":
                    target = target.parts[-1]
                if (
                    use.item.kind in {"register", "port"}
                    and use.place.parts is use.line.expressions
                ):
                    word = "enable"
                if namer.has_name(target):
                    return f"{namer.net(target)}_{word}"
            if use.item.kind == "instance":
                return f"{use.item.name}_{word}"
        return word

    def _unread_nets(self) -> set[str]:
        """The nets and input ports with bits that nobody reads."""
        read = {self._clock: 1}
        for item in self._items:
            for line in item.lines:
                for number, expression in enumerate(line.expressions):
                    for place in places(line.expressions, number, 0):
                        net = place.expression
                        if net.kind == "net" and not (
                            number == line.target and _is_part(net, expression)
                        ):
                            bits = ((1 << net.width) - 1) << (net.low or 0)
                            read[net.name] = read.get(net.name, 0) | bits
        return {
            name
            for name, net in self._nets.items()
            if net.port != "output" and read.get(name, 0) != (1 << net.width) - 1
        }

    def _declaration(self, name: str) -> Iterator[str]:
        net = self._nets[name]
        if net.attribute:
            yield net.attribute
        yield f"  {'reg' if net.register else 'wire'} {_range(net.width)}{name};"

    def write(self) -> Iterator[str]:
        """The lines of the module."""
        unread = self._unread_nets()
        ports = sorted((name for name, net in self._nets.items() if net.port), key=_port_order)
        yield f"module {self._module}("
        for name in ports:
            net = self._nets[name]
            kind = f"{net.port} reg" if net.register else net.port
            port = f"  {kind} {_range(net.width)}{name}{',' * (name is not ports[-1])}"
            yield from _waived([port], "Not needed here.") if name in unread else [port]
        yield ");"
        inner = sorted((name for name in self._nets if not self._nets[name].port), key=_natural)
        for name in inner:
            if name not in unread:
                yield from self._declaration(name)
        partly = [line for name in inner if name in unread for line in self._declaration(name)]
        if partly:
            yield from _waived(
                partly, "Some bits of these are not needed, such as those rounded off."
            )
        started = [name for name in sorted(self._nets, key=_natural) if self._nets[name].start]
        if started:
            yield "  initial begin"
            for name in started:
                yield f"    {name} = {start_value(self._nets[name].start)};"
            yield "  end"
        for (count, width), name in sorted(self._functions.items()):
            yield from _selection(name, count, width)
        for kind, items in groupby(self._items, lambda item: item.kind):
            clocked = kind in {"register", "port"}
            if clocked:
                yield f"  always @(posedge {self._clock}) begin"
            for item in items:
                for line in item.lines:
                    yield from _written(line)
            if clocked:
                yield "  end"
        yield "endmodule"


def _enclose_nested(lines: list[_Line]) -> None:
    """Write `begin` and `end` around conditions in conditions, so that each `else` is clear."""
    for number, line in enumerate(lines[:-1]):
        if line.form.endswith("if (\0)") and lines[number + 1].form.lstrip().startswith("if"):
            indent = line.form[: len(line.form) - len(line.form.lstrip())]
            line.form += " begin"
            lines.append(_Line(f"{indent}end"))


def _unread(module: str) -> set[str]:
    """The anonymous nets that are only declared and assigned."""
    found = Counter(_ANONYMOUS.findall(module))
    for target in _TARGET.findall(module):
        found.subtract(_ANONYMOUS.findall(target))
    return {name for name, count in found.items() if count == 1}


def _waived(lines: list[str], reason: str) -> Iterator[str]:
    """Declarations that Verilator's lint would complain about, and why they are as they are."""
    yield f"  // {reason}"
    yield f"  /* verilator lint_off {UNUSED} */"
    yield from lines
    yield f"  /* verilator lint_on {UNUSED} */"


def _is_part(net: Expression, target: Expression) -> bool:
    return net is target or (target.kind == "concat" and any(net is part for part in target.parts))


def _fits(value: Expression, width: int, use: _Use) -> bool:
    """Whether an expression assigned to a net of a width has the same bits where that is read."""
    place = use.place
    if not place.expression.whole or place.context != width:
        return False
    return place.root or (value.width == width and not value.signed)


def _high(net: Expression) -> int:
    return (net.low or 0) + net.width - 1


def _written(line: _Line) -> Iterator[str]:
    if not line.expressions:
        yield from wrapped(line.form)
        return
    pieces = line.form.split("\0")
    written = pieces[0]
    for expression, piece in zip(line.expressions, pieces[1:], strict=True):
        written += text(expression) + piece
    condition, assignment = line.form.split(" \0 <= ")[0], line.form.endswith("\0 <= \0;")
    if len(written) > COLUMNS and assignment and "(" in condition:
        indent = " " * (len(written) - len(written.lstrip()))
        yield from wrapped(condition.replace("\0", text(line.expressions[0])))
        target, value = map(text, line.expressions[-2:])
        yield from wrapped(f"{indent}  {target} <= {value};")
    else:
        yield from wrapped(written)


def _selection(name: str, count: int, width: int) -> Iterator[str]:
    """A function that chooses one of several values."""
    yield f"  // One of {count} values, or `a`; at most one bit of `s` is set."
    yield f"  function {_range(width)}{name};"
    yield f"    input {_range(width)}a;"
    yield f"    input {_range(count * width)}b;"
    yield f"    input {_range(count)}s;"
    yield "    (* parallel_case *)"
    yield "    case (1'b1)"
    for number in range(count):
        high, low = (number + 1) * width - 1, number * width
        bits = f"[{high}]" if high == low else f"[{high}:{low}]"
        yield f"      s[{number}]: {name} = b{bits};"
    yield f"      default: {name} = a;"
    yield "    endcase"
    yield "  endfunction"


def _range(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts `x_2` before `x_10`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in _NUMBERS.split(name)]


def _port_order(name: str) -> tuple[int, int, str]:
    """A key that sorts ports: clock, reset, the input stream, the output stream, others."""
    group = next(n for n, start in enumerate(_PORT_GROUPS) if name.startswith(start))
    signal = next((n for n, end in enumerate(_PORT_SIGNALS) if name.endswith(end)), 0)
    return group, signal, name
