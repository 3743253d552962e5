"""The report: files of runs -> arms and boards -> tables, charts and one page."""
