"""What is wrong with a data set: one module for each way of looking, findings as plain values."""
