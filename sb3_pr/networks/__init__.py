"""N agents' networks as one: stacked, guarded, taken apart, joined, optimised."""
