"""The rules of the trade: pure, no await, socket, clock or random number."""
