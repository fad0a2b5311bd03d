"""Routes, their schemas, and what is in bodies: parse, call, answer."""
