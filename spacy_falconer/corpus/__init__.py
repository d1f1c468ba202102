"""Texts in, DocBins out."""
