"""Between the event loop and the engine: queues, worker threads, chunks of photos."""
