"""What was stated, by whom, in which order, and the proof of it."""
