"""The engine `ray`: jobs as tasks of a Ray cluster, each a process group of its own there."""
