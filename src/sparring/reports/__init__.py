"""Reports: one self-contained page about one run, or about several beside each other; they read run folders only."""

from sparring.reports.page import write_report

__all__ = ["write_report"]
