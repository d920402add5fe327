"""What runs recorded: read from any tool's logs, made comparable, and measured."""
