"""App services of pods out of traffic, and back."""
