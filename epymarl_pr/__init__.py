"""Policy Reciprocity for EPyMARL's learners, on an untouched checkout. Not implemented yet; see CHANGELOG.md."""
