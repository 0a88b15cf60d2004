"""Where evaluations run: this machine, a Ray cluster, or a folder shared by machines."""
