"""Frames of cocotbext-axi go in and results come out: a cocotb test without the kit.

cocotb's own runner builds the Verilog as it is. With Icarus Verilog and `cocotbext-axi`, run it on
the LeNet-5 that `systolith generate` wrote to the folder `lenet5-rtl`:

    python examples/axi_stream.py lenet5-rtl
"""

import os
import sys
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner
from cocotbext.axi import AxiStreamBus, AxiStreamSink, AxiStreamSource

from systolith import golden


@cocotb.test()
async def digits_are_classified(dut: Any) -> None:
    """Send two digits, and compare their classes with those of the fixed-point model."""
    clocked = {"clock": dut.aclk, "reset": dut.aresetn, "reset_active_level": False}
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), **clocked)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), **clocked)
    Clock(dut.aclk, 10, "ns").start()
    dut.aresetn.value = 0
    await ClockCycles(dut.aclk, 4)
    dut.aresetn.value = 1
    digits = golden.test_digits().take(2)
    network = golden.QuantizedNetwork.load(os.environ["NETWORK"])
    labels = golden.evaluate(network, digits).predictions
    for image, label in zip(digits.images, labels, strict=True):
        await source.send(image.tobytes())
        result = await sink.recv()
        assert (result.tdata[0], result.tuser) == (label, 0)


if __name__ == "__main__":
    folder = Path(sys.argv[1]).resolve()
    runner = get_runner("icarus")
    runner.build(sources=[folder / "lenet5.v"], hdl_toplevel="lenet5", timescale=("1ns", "1ps"))
    network = {"NETWORK": str(folder / "lenet5.npz")}
    sys.exit(get_results(runner.test("axi_stream", "lenet5", extra_env=network))[1])
