"""What an engineer gets beside the Verilog: test bench, data sheet, files for tools."""
