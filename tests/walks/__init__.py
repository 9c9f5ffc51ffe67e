"""Long random walks through everything that can happen, with the promises of the design checked at every step."""
