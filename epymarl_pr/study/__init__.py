"""EPyMARL as a host of studies; :mod:`epymarl_pr.study.host` is what a study imports.

arms      what a study may name
plan      settings checked against the checkout, budgets, the protocol of evaluation
probe     the number of agents, asked of the environment in a process of its own
run       one cell in a child process, resumed where that can be done exactly
results   sacred's record as a table in the schema of ``marl_pr_common.runs.table``
"""
