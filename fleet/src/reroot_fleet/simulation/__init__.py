"""Machines that are not there: a model of their journals, boots, locks, fences and clocks, with
faults from a seed. For tests, benchmarks and a first try; no conductor of a real night imports it.
"""
