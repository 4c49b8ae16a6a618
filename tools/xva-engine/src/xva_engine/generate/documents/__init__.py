"""The engine's input files, one module each."""
