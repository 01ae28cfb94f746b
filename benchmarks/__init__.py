"""Measurements by hand: `make bench`. Each prints what it measured, as ratios in one run where machines differ."""
