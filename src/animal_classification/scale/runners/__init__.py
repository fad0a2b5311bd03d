"""Who starts workers: this machine, a platform that numbers its tasks, or Ray."""
