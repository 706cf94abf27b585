"""Trains the shipped word vectors from texts with a sentence encoder's vectors."""
