"""The report page: an evaluation to read and to listen to, in one file."""

from wavegrad.evaluation.report.page import write_report

__all__ = ["write_report"]
