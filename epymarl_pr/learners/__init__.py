"""EPyMARL's learners with Policy Reciprocity: thin subclasses whose target networks answer with Z* of eq. 12.

Importing a module of this package needs the checkout on the import path (:mod:`epymarl_pr.launch.compat`).
"""
