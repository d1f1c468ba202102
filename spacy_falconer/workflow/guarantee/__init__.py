"""Guarantees: rows with guaranteed precision, recall or accuracy against the language model (docs/guarantees.md)."""
