"""What decides. Pure: no I/O, no clock, no randomness, no logging, no threads."""
