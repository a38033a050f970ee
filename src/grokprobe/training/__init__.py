"""Training: recipes, schedules, the plain loop, and sweeps that resume."""
