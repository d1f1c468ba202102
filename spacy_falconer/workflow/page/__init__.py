"""The report: one HTML page with the results of a run."""

from spacy_falconer.workflow.page.render import PAGE, make_page, renew_page, write_page
from spacy_falconer.workflow.page.rows import find_row_texts
from spacy_falconer.workflow.page.run import Run, read_run

__all__ = ["PAGE", "Run", "find_row_texts", "make_page", "read_run", "renew_page", "write_page"]
