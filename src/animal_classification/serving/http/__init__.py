"""Routes, their schemas, and the reading of bodies: parse, call ``service``, answer."""
