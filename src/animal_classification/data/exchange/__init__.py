"""Labels to and from the tools that people label with: Label Studio, FiftyOne, CVAT, image folders, tables.

A photo is known by the SHA-256 of its bytes: it is its file's name and, where a tool keeps fields of its own, the field
``sha256``. Names and numbers of tasks are the tool's, and change. None of these tools needs to be installed.
"""
