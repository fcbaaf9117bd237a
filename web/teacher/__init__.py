"""The teacher's end: six steps from the notices to the status."""
