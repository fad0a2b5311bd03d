"""Google Cloud and Kubernetes: documents rendered from one typed settings file, compared with what is there, applied.

``rendering`` makes the documents and needs nothing that is not in the core; ``applying`` talks to the cloud through
Google's client libraries (extra ``gcp``), against whose message types every document is checked. Knows nothing of
models or photos.
"""
