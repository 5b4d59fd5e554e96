"""Memory to answer: recurrent cells, attention, and the search over what they say."""
