# The clock of {{ top }}: {{ mhz }} MHz.
create_clock -name aclk -period {{ period }} [get_ports aclk]
