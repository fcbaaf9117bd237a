"""The local service that reads the health-insurance card (not built yet)."""
