"""Offline HTML pages: the report on fits, the overview of a batch."""
