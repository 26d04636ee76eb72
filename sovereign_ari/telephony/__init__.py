"""What the PBX does for a call, each thing in one module."""
