"""Tabular IQL and IQL+PR (eq. 1 to 8 of arXiv 2304.05632), their environments' fast loops, and the theory's measures."""
