"""How long the task-driven part takes the usual way and ours, on the same images, network and neurons."""
