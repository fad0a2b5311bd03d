"""The models of a server: where they come from, which one answers, and how another one takes over.

``sources`` reads what an operator writes, ``loading`` makes a model that answers of it, ``served`` counts who uses it,
``slots`` holds who answers under which name, ``following`` watches for changes, ``shadow`` compares without answering.
"""
