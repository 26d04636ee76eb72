"""Thousands of short calls with random faults: what is left behind, and what grows."""
