"""A results store in a browser, slice by slice: for stores that are too large for the one file of a report.

What is shown (:mod:`view <grokprobe.dashboard.view>`), what is read for it (:mod:`moment <grokprobe.dashboard.moment>`)
and the code that gives the same (:mod:`snippet <grokprobe.dashboard.snippet>`) need no Panel; the page and its server
do, and are imported by who serves.
"""
