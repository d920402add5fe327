"""A report of any results: one self-contained HTML file, its figures as PNG and SVG, and a summary in Markdown.

context   what the numbers do not say: what was asked, with which settings, what is missing
measure   every number, computed once (scoring: the rules of how many seeds a statement needs; sharing: equal budgets)
verdicts, wording, tables, drawings   the same numbers as first lines, in words, in rows, and as figures
document, build, render     put together, and written
collect   the context of results that lie on disk
"""

from marl_pr_common.report.build import FIGURES, write_index, write_report
from marl_pr_common.report.collect import context_of
from marl_pr_common.report.context import ReportContext
from marl_pr_common.report.measure import label_arms

__all__ = ["FIGURES", "ReportContext", "context_of", "label_arms", "write_index", "write_report"]
