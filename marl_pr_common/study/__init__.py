"""A study: algorithms x tasks x seeds x budget from one YAML; one command runs it, resumes it, and reports."""
