"""What the worker process does: jobs that no call waits for."""
