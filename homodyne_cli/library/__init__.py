"""The program from Python: typed results for notebooks, tables, plots on given axes."""
