"""From files, folders and standard input to Kubernetes objects."""
