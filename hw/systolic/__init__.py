"""The systolic core: processing elements, array, windows, accumulators, schedule."""
