"""Training: settings, schedules, checkpoints and the loop."""
