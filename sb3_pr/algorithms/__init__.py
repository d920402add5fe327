"""What a user imports: SB3's algorithms for N agents, and what they share."""
