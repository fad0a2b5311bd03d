"""A frozen backbone and a linear head: embeddings in one pass, the head in NumPy, one ONNX graph. No torch."""
