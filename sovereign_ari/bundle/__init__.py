"""The embedded servers and the supervisor behind `sovereign up`."""
