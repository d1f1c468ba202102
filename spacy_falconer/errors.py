"""What can go wrong, and what a user can do about it.

FalconerError (a ValueError)
├── PlanError         a plan that cannot be read or run
│   └── UnsupportedPlanError   a sentence that the two primitives cannot answer
├── AnswerError       an answer that is missing, malformed or cannot be stored
├── CorpusError       a corpus that cannot be read
├── RedactError       a text may not be sent, because the user's function that changes it is missing or fails
├── ServerError       the language model's endpoint failed or is not set
│   ├── BudgetError    a limit on cost or requests is reached
│   └── RequestError   one request failed for good; others may still succeed
│       └── ReplyError    the reply is not an answer: cut off, refused, empty or not JSON
└── ModelError        a pipeline or component that cannot do what was asked of it

Every message says what is wrong, with the value, what was expected and what to do.
"""


class FalconerError(ValueError):
    """The base class of spacy-falconer's own errors."""


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
    """A limit on cost or requests is reached. Nothing more was sent; the answers so far are kept."""


class RequestError(ServerError):
    """One request failed for good. Other requests may still succeed."""


class ReplyError(RequestError):
    """The reply to a request is not an answer. The error holds the numbers of tokens that were paid for."""

    def __init__(self, message: str, *, n_input_tokens: int = 0, n_output_tokens: int = 0):
        super().__init__(message)
        self.n_input_tokens = n_input_tokens
        self.n_output_tokens = n_output_tokens


class ModelError(FalconerError):
    """A pipeline or component cannot do what was asked of it."""
