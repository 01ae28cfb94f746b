"""What a newcomer runs: a bank's table made up from nothing, and the demonstration."""
