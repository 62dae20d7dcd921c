"""Reports: the results of a comparison as one HTML page that needs no network, and as plain sentences."""

from onward.compare.report.page import page
from onward.compare.report.pictures import pictures
from onward.compare.report.verdict import Verdict, summary, verdicts

__all__ = ["Verdict", "page", "pictures", "summary", "verdicts"]
