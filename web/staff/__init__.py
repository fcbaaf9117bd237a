"""The staff of counties and of the host: their door, their accounts, their desk."""
