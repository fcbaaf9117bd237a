"""What is sent: mail and LINE, through the outbox."""
