"""Something to a `Memory`: what a decoder can attend to."""
