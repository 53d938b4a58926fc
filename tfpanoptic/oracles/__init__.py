"""What heads that learned their targets would say, and which settings keep that from giving the truth back."""
