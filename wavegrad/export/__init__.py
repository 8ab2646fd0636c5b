"""A vocoder for other runtimes."""
