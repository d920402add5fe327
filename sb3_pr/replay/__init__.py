"""SB3's replay buffers, sampled agent by agent."""
