# amaranth: UnusedElaboratable=no
from __future__ import annotations

from systolith.hw.accelerator import CLASSIFIER, FRAME_CHECKER, Accelerator, unit_part
from systolith.hw.planning.memories import memory_bits
from systolith.hw.verilog.writer import accelerator_modules, memories
from tests.hw.small_networks import EVERY_KIND, EVERY_KIND_PLAN, quantized


def test_the_verilog_has_the_memories_that_were_counted() -> None:
    accelerator = Accelerator(quantized(EVERY_KIND).fixed, EVERY_KIND_PLAN)
    bits = memory_bits(accelerator)
    layers = [unit_part(layer.name) for layer in EVERY_KIND.layers[1:]]
    assert list(bits) == [FRAME_CHECKER, *layers, CLASSIFIER]
    modules = accelerator_modules(Accelerator(accelerator.fixed, EVERY_KIND_PLAN))
    assert bits == {
        part: sum(
            memory.words * memory.bits for memory in memories(modules[f"{accelerator.name}_{part}"])
        )
        for part in accelerator.parts
    }
    assert memories(modules[accelerator.name]) == []
    assert min(bits[layer] for layer in layers) > 0
