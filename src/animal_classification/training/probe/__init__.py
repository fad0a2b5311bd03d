"""The recipe ``probe``: embeddings of a frozen backbone and a linear head, without torch."""
