"""Long texts are cut where a reader would pause, and nothing is lost."""

from hypothesis import given
from hypothesis import strategies as st

from callwright.speech.pieces import pieces
from callwright.speech.ssml import escape, escaped_length


def one(_character: str) -> int:
    return 1


def utf8(character: str) -> int:
    return len(character.encode())


def test_a_text_that_fits_stays_whole() -> None:
    assert pieces(" One. Two! ", 100, one) == ["One. Two!"]
    assert pieces("12345", 5, one) == ["12345"]
    assert pieces("  ", 5, one) == []


def test_sentences_come_before_clauses_before_words() -> None:
    assert pieces("One two. Three, four five six", 20, one) == ["One two.", "Three, four five six"]
    assert pieces("One two three, four five six", 20, one) == ["One two three,", "four five six"]
    assert pieces("One two three four five", 12, one) == ["One two", "three four", "five"]
    assert pieces("abcdefghij", 4, one) == ["abcd", "efgh", "ij"]


def test_a_border_near_the_start_is_passed_over_for_a_lesser_one_later() -> None:
    assert pieces("A. " + "word " * 10, 40, one)[0] == "A. word word word word word word word"


def test_a_sentence_may_end_exactly_at_the_limit() -> None:
    assert pieces("1234. 6789.", 5, one) == ["1234.", "6789."]


def test_scripts_without_spaces_are_cut_after_their_own_full_stop() -> None:
    assert pieces("今天下雨。明天晴天。后天", 18, utf8) == ["今天下雨。", "明天晴天。", "后天"]


def test_marks_stay_with_their_letter() -> None:
    assert pieces("कि" * 4, 3, one) == ["कि", "कि", "कि", "कि"]


def test_the_weight_is_the_callers() -> None:
    assert [len(escape(piece)) for piece in pieces("<" * 10, 12, escaped_length)] == [12, 12, 12, 4]


@given(st.text(max_size=300), st.integers(6, 50))
def test_nothing_but_white_space_is_lost_and_no_piece_is_too_heavy(text: str, most: int) -> None:
    found = pieces(text, most, escaped_length)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(piece and sum(map(escaped_length, piece)) <= most for piece in found)
