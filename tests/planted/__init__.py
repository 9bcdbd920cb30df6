"""Bugs planted into copies of the product, which `onhand verify` must find; runs without one, where it finds none."""
