"""Reading media: the same code for training and for answering, all under one `MediaLimits`."""
