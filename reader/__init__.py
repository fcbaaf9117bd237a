"""The local service that reads the health card (健保卡); see docs/reader.md."""
