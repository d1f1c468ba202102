"""What can go wrong, and what a user can do about it.

FalconerError (a ValueError)
├── PlanError         a plan that cannot be read or run
│   └── UnsupportedPlanError   a sentence that two primitives cannot answer
├── AnswerError       an answer that is missing, malformed or cannot be stored
├── CorpusError       a corpus that cannot be read
├── RedactError       a text may not be sent: the user's own function for it fails
├── ServerError       the language model's endpoint failed or is not set
│   ├── BudgetError    the most that may be spent or sent is reached
│   └── RequestError   one request failed for good; another may not
│       └── ReplyError    it was replied to, but not with an answer: cut off, refused, empty, no JSON
└── ModelError        a pipeline or component that cannot do what was asked of it

Every message says what is wrong, the value, what was expected and what to do.
"""


class FalconerError(ValueError):
    """Anything that spacy-falconer refuses to do."""


class PlanError(FalconerError):
    """A plan is malformed. The message names the step, the value and the remedy."""


class UnsupportedPlanError(PlanError):
    """The sentence needs more than `get_label` and `get_span`. The message is the planner's reason."""


class AnswerError(FalconerError):
    """An answer is missing, malformed, or its file cannot be used."""


class CorpusError(FalconerError):
    """A corpus cannot be read."""


class RedactError(FalconerError):
    """The function that changes texts before they are sent is missing or fails. The text was not sent."""


class ServerError(FalconerError):
    """The language model's endpoint is not set, or failed for good."""


class BudgetError(ServerError):
    """What may be spent is spent. Nothing more was sent; what was answered is kept."""


class RequestError(ServerError):
    """One request failed for good. Other requests may not."""


class ReplyError(RequestError):
    """A request was replied to, but not with an answer. Where the reply was paid for, it says how many tokens."""

    def __init__(self, message: str, *, n_input_tokens: int = 0, n_output_tokens: int = 0):
        super().__init__(message)
        self.n_input_tokens = n_input_tokens
        self.n_output_tokens = n_output_tokens


class ModelError(FalconerError):
    """A pipeline or component cannot do what was asked of it."""
