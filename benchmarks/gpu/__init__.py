"""One GPU: how fast it trains and predicts, and whether it waits."""
