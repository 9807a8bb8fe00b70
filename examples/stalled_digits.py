"""Every layer is exact while source and sink stall: a cocotb test with the kit `sim.bench`.

Run it on a folder that `generate` wrote:

    python examples/stalled_digits.py lenet5-rtl
"""

import sys

import cocotb
from cocotb.handle import HierarchyObject

from systolith import golden
from systolith.sim import bench


@cocotb.test()
async def every_layer_is_exact(dut: HierarchyObject) -> None:
    """Send two digits, and compare every value of every layer and both results."""
    accelerator = bench.Accelerator(dut)
    source = bench.Source(accelerator, stalls=bench.pauses("random", seed=1))
    sink = bench.Sink(accelerator, stalls=bench.pauses("random", seed=2))
    monitors = accelerator.monitors()
    digits = golden.test_digits().images[:2]
    scoreboard = bench.Scoreboard(accelerator.reference(digits))
    await accelerator.reset()
    await source.send(digits)
    await scoreboard.check(*monitors, sink)
    await accelerator.quiet()


if __name__ == "__main__":
    bench.run(sys.argv[1], __file__)
