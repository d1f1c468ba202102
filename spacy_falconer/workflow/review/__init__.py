"""Review by people: export uncertain and contradicting texts to their tools, and take corrections back into the store.

choose          which texts are worth a look
asked           what is asked of each
prodigy, label_studio, argilla   each tool's own files, out and in
files           files of any tool, record by record
decide          people's work as answers, settled if several people looked
take            answers into the store
"""

from spacy_falconer.workflow.review.export import Exported, export_reviews
from spacy_falconer.workflow.review.take import Taken, take_reviews, write_rejects

__all__ = ["Exported", "Taken", "export_reviews", "take_reviews", "write_rejects"]
