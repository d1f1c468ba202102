"""Bring your own: labelled data as answers, and an annotator in the language model's place.

forms           which form a file has, and who reads it
docbin, conll, spacing, tools    each form's own files
names           the file's names as steps of a plan
bring           into the store, and from there to what is learned from
annotator       any callable that answers a plan's steps
"""
