"""What is seen on the streams of a network, and its comparison with the fixed-point model."""
