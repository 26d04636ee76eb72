"""What is said: listening, taking turns, answering."""
