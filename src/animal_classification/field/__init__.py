"""When and where a photo was taken, by which camera: times, deployments, bursts, events, smoothing, memory cards.

May import ``taxonomy``, ``data`` and what is below them. From a file to an event: ``photo_facts`` reads what a file
says (``exif_block``, ``reconyx_note``, ``gps_position``, ``file_name_time``), ``deployment`` says where it belongs,
``camera_clock`` puts its clock right, ``events`` groups it, ``smoothing`` decides again, ``event_rows`` counts, and
``time_zones`` adds an offset where an export wants one. ``card_scan`` looks through memory cards.
"""
