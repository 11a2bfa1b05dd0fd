"""The audit of a data set: what is wrong with its files, labels and splits. Changes nothing."""
