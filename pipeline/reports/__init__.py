"""Pages and drawings for people: the run report, the history page, the review pages, the ledger chart."""
