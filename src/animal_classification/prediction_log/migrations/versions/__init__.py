"""One file a revision; what is here has run somewhere, so it is never changed."""
