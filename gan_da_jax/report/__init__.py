"""Files of runs -> arms and boards -> verdict, tables, charts and one page."""
