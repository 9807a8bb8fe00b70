"""The commands for FPGA boards: the bitstream, and images through it."""
