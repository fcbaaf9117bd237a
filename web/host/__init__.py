"""The hosting county's end (承辦縣市端)."""
