"""What a user imports: SB3's algorithms for N agents, a module for each, and what they share."""
