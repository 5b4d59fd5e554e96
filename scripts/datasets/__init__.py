"""Readers: each gives what a training script learns from, out of files on this machine."""
