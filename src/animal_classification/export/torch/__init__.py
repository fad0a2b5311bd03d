"""What an export needs PyTorch for: a trainable copy of a graph, structured pruning, distillation."""
