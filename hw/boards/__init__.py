"""An accelerator on an FPGA board: UART, packets, image buffer, bitstream, and the host's side."""
