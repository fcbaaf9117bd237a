"""The local service that reads the health-insurance card (健保卡); see docs/reader.md."""
