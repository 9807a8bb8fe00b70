// The files of {{ top }}, from this folder, for -f of simulators and synthesizers.
{{ verilog }}
