"""The models of a server: where they come from, which one answers, and how another one takes over.

``model_spec`` reads what an operator writes, ``loader`` makes a warm model of it, ``routing`` holds who answers under
which name, ``watcher`` looks for new versions, ``shadow`` compares without answering; ``bootstrap`` starts them all.
"""
