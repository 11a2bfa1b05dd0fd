"""The recipe: the best model for the time there is.

A head on frozen features first (seconds), then fine-tuning from it while time is left (linear
probing, then fine-tuning: Kumar et al. 2022, arXiv:2202.10054), then calibration. All choices
are made on validation images.
"""
