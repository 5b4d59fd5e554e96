"""Train, evaluate and measure."""
