"""Bring your own: labelled data as answers, or an annotator in the language model's place.

forms           find a file's format and its reader
docbin, conll, spacing, tools    read files of each format
names           map the file's names to steps of a plan
bring           labels into the store, and from there into training data
annotator       any callable that answers a plan's steps
"""
