"""Paper: the personal sheet (個人資料表) as PDF and as a page to print."""
