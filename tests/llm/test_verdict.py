from __future__ import annotations

import pytest

from spacy_falconer.errors import RequestError
from spacy_falconer.llm.verdict import Failed, Verdict


def failed(text):
    return Failed(text, [], RequestError(f"{text} failed"))


def test_the_endpoint_is_down_where_three_texts_in_a_row_get_no_reply():
    verdict = Verdict()
    assert [verdict.doubt(failed(text), verdict.begin()) for text in "abc"] == [False, False, True]


def test_a_text_fails_by_itself_where_others_are_replied_to_afterwards():
    verdict = Verdict()
    verdict.doubt(failed("a"), verdict.begin())
    verdict.doubt(failed("b"), verdict.begin())
    assert [one.text for one in verdict.replied()] == ["a", "b"]
    assert verdict.replied() == []
    assert verdict.doubt(failed("c"), verdict.begin()) is False


def test_texts_that_were_tried_while_others_got_replies_do_not_bring_the_endpoint_down():
    verdict = Verdict()
    began = verdict.begin()
    verdict.replied()
    assert not any(verdict.doubt(failed(text), began) for text in "abcdef")
    assert [one.text for one in verdict.close()] == list("abcdef")


def test_where_nothing_was_ever_replied_to_the_first_failure_is_the_endpoints():
    verdict = Verdict()
    verdict.doubt(failed("a"), verdict.begin())
    with pytest.raises(RequestError, match="a failed"):
        verdict.close()


def test_nothing_held_back_is_nothing_to_tell():
    assert Verdict().close() == []
