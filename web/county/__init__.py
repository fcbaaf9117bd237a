"""The county's end (縣市管理端)."""
