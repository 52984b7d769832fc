"""The commands of `lexveil`, grouped by subject, with their options and their output."""
