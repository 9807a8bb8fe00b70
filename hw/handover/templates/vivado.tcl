# Synthesis in Vivado, out of context, in this folder:
#   vivado -mode batch -source {{ stem }}.tcl -tclargs PART
if {$argc != 1} {
  puts stderr "{{ stem }}.tcl: give the part, for example -tclargs xc7a100tcsg324-1"
  exit 2
}
set part [lindex $argv 0]

read_verilog {{ verilog }}
read_xdc {{ stem }}.xdc
synth_design -top {{ top }} -part $part -mode out_of_context
report_utilization -hierarchical -file {{ stem }}_utilization.rpt
report_timing_summary -file {{ stem }}_timing.rpt
write_checkpoint -force {{ stem }}.dcp
