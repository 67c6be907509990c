"""What of a text is spoken, and that nothing in it can end the synthesizer's cutting rules."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.speech.text import LONGEST_WORD, letters_and_digits, sanitise


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Hello, this is a test Voice Message.", "Hello, this is a test Voice Message."),
        ("  two \n\t lines\r\n", "two lines"),
        ("It's 5 o'clock, rock'n'roll!", "It's 5 o'clock, rock'n'roll!"),
        ("l’heure d'été", "l'heure d'été"),
        ("'quoted' and ''double''", "quoted and double"),
        ("s'" * 80, "s's's" + " s" * 77),
        ("---m", "m"),
        ("mother-in-law, 3-4 -5 degrees - done-", "mother-in-law, 3-4 -5 degrees done"),
        ("pay 1,000,000.50 € or $20 (100%)", "pay 1,000,000.50 € or $20 100%"),
        ("code 0000000 is kept", "code 0000000 is kept"),
        ("sooooooo goooood", "sooo goood"),
        ("wait... what?!?! . . . yes", "wait. what? yes"),
        ("<speak>no &amp; markup</speak> [[h@loU]] {x}", "speak no &amp; markup /speak h@loU x"),
        ("a" + "b1" * 60, "a" + "b1" * 19 + "b " + "1b" * 20 + " " + "1b" * 20 + " 1"),
        ("cafe\u0301 nai\u0308ve", "café naïve"),
        ("z\u0327\u0301\u0302\u0303\u0304algo", "\u017a\u0327\u0302algo"),
        ("Привет, мир. 你好，世界。 สวัสดี नमस्ते مرحبا", "Привет, мир. 你好，世界。 สวัสดี नमस्ते مرحبا"),
        ("\x00\x1b[31mred\u202e\u200b\ud800", "31mred"),
        ("hi 👍🏽 there", "hi there"),
        ("price: €20, 5%, $3; 1/2 & +65 #9", "price: €20, 5%, $3; 1/2 & +65 #9"),
        ("$$$ and @@@!!!", "$ and @!"),
        ("", ""),
        ("?!... -- '' 👍", ""),
    ],
)
def test_a_text_is_cut_down_to_what_can_be_spoken(text: str, spoken: str) -> None:
    assert sanitise(text) == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [("It's 5-6, ok? नमस्ते!", "It s 5 6 ok नमस्ते"), ("...", ""), ("a&b", "a b")],
)
def test_the_second_attempt_has_letters_and_digits_only(text: str, spoken: str) -> None:
    assert letters_and_digits(text) == spoken


@given(st.text(max_size=400) | st.text(alphabet="ab'’-.,!é\u0301 1", max_size=400))
def test_whatever_comes_in_what_goes_out_keeps_the_rules(text: str) -> None:
    spoken = sanitise(text)
    assert spoken == sanitise(spoken) or len(spoken) <= len(text)
    for word in spoken.split():
        assert len(word) <= LONGEST_WORD
        assert word.count("'") <= 2
    for run in ("''", "--", "'-", "-'", "- ", "' ", " '", "..", ",,", "&&", "  "):
        assert run not in spoken
    assert not any(unicodedata.category(character)[0] in "CZ" for character in spoken.replace(" ", ""))
    assert spoken == "" or any(character.isalnum() for character in spoken)
    assert all(unicodedata.category(character)[0] in "LMNZ" for character in letters_and_digits(text))
