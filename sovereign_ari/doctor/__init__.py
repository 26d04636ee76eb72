"""`sovereign doctor`'s call to the demo, and what its measurements mean."""
