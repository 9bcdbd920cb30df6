"""The pure core: values in, values out. Standard library only; no clock, logger, environment or I/O."""
