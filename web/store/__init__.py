"""Every SQL statement, by subject. Each function takes the connection first."""
