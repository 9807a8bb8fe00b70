"""Finds the ports of the simulated module, and checks their types.

Runs inside the simulator; both benches use it.
"""

from __future__ import annotations

from cocotb.handle import HierarchyObject, LogicArrayObject, LogicObject, PackedObject

from systolith.sim.bench.endpoints import StreamPorts

Port = LogicObject | LogicArrayObject | PackedObject[LogicObject]


def port(dut: HierarchyObject, name: str) -> Port:
    """A port of one or more bits.

    Raises
    ------
    AttributeError
        If there is no such port.
    TypeError
        If it is not a port.
    """
    handle = getattr(dut, name)
    if not isinstance(handle, LogicObject | LogicArrayObject | PackedObject):
        raise TypeError(f"{name} is not a port but a {type(handle).__name__}")
    return handle


def bit(dut: HierarchyObject, name: str) -> LogicObject:
    """A port of one bit; raises as `port`."""
    handle = port(dut, name)
    if not isinstance(handle, LogicObject):
        raise TypeError(f"{name} has {len(handle)} bits, not one")
    return handle


def stream_ports(dut: HierarchyObject, prefix: str) -> StreamPorts:
    """The ports `<prefix>data`, `last`, `valid` and `ready` of a stream of beats.

    A stream of another payload has `<prefix>payload` in place of `data` and `last`.
    """
    valid, ready = port(dut, f"{prefix}valid"), port(dut, f"{prefix}ready")
    if hasattr(dut, f"{prefix}payload"):
        return StreamPorts(port(dut, f"{prefix}payload"), valid, ready, None)
    return StreamPorts(port(dut, f"{prefix}data"), valid, ready, port(dut, f"{prefix}last"))
