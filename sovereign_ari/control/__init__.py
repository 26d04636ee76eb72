"""Live calls: ARI events in, commands out."""
