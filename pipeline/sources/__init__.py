"""The sources: files and objects that documents are read from, and the plan of their shards."""
