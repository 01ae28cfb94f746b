"""A Flink cluster on loopback: a job manager, a task manager with two slots, and a pool of workers."""
