"""Parts of benchmarks/emulator.py, which measures the emulators.

suites          simulations to train on and to check with, made once and kept
training        our models, the default one on other splits, and with few simulations
published       the published package: its recipe, on the same arrays and split
worker          what runs in the published package's environment
accuracy        errors, and whether error bars cover them
floor           how rough a suite is: short lines through parameter space
realizations    means and scatter of realizations that no emulator has seen
speed           training, predicting, k-fold; gradients against finite differences
page            tables, and the page they are written to
"""
