"""Speech and language providers: what they are asked, and how each vendor is asked it."""
