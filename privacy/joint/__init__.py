"""Training by several offices together: shares of exact noise, sums over offices, and their transcript."""
