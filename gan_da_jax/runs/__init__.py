"""What a run is: its config, arm, schedule, networks and folder; the runs of a study."""
