"""A whole run in the order of time: look, decide, show, train, judge, report."""
