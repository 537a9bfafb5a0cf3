"""Reading: Kubernetes objects from files, folders and standard input."""
