"""Audio as bytes and numbers. Pure: no socket, clock, thread or random number."""
