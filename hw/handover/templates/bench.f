// The files of the test bench, from this folder: iverilog -g2005 -c {{ stem }}_tb.f
// The top module is {{ top }}_tb.
../{{ verilog }}
{{ stem }}_tb.v
