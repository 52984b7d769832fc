"""Regular expressions that are tried only where a match can be."""
