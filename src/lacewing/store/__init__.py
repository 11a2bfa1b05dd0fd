"""The run folder: its file names, its schema, atomic writes. Imports no torch."""
