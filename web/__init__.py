"""The site with its three ends: teacher, county, hosting county (not built yet)."""
