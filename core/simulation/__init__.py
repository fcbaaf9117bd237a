"""Rounds that never were: invented populations to try the engine on."""
