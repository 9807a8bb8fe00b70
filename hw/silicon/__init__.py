"""What an accelerator takes on a real device, and how fast it is there, by open tools."""
