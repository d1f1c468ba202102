"""Guarantees: rows of which precision, recall or accuracy against the language model are certain (docs/guarantees.md)."""
