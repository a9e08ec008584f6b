"""`sparring bench`: what a learned view costs, how near the loop is to its limit, and a peer beside it."""
