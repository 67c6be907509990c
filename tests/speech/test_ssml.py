"""A customer's text is never markup, whatever stands in it."""

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from callwright.speech.ssml import azure_document, escape, polly_document
from callwright.speech.text import readable

HOSTILE = """</prosody></voice><voice name="en-US-GuyNeural">&amp; <break time='10s'/> "it's" ]]> <!-- -->"""
SPEAK = "{http://www.w3.org/2001/10/synthesis}"


def test_all_five_characters_are_escaped() -> None:
    assert escape("""<a> & "b" 'c'""") == "&lt;a&gt; &amp; &quot;b&quot; &apos;c&apos;"


def test_an_azure_document_holds_one_voice_and_the_text_as_it_was() -> None:
    root = ET.fromstring(azure_document(HOSTILE, "en-IE-EmilyNeural", 1.5))
    assert root.attrib == {"version": "1.0", "{http://www.w3.org/XML/1998/namespace}lang": "en-IE"}
    (voice,) = root
    (prosody,) = voice
    assert (voice.tag, voice.attrib) == (f"{SPEAK}voice", {"name": "en-IE-EmilyNeural"})
    assert (prosody.tag, prosody.attrib, prosody.text) == (f"{SPEAK}prosody", {"rate": "+50.00%"}, HOSTILE)
    assert len(prosody) == 0
    assert 'rate="-50.00%"' in azure_document("a", "en-IE-EmilyNeural", 0.5)


def test_a_polly_document_holds_the_text_as_it_was() -> None:
    root = ET.fromstring(polly_document(HOSTILE, 0.5))
    (prosody,) = root
    assert (prosody.attrib, prosody.text, len(prosody)) == ({"rate": "50%"}, HOSTILE, 0)


def test_normal_speed_is_not_mentioned() -> None:
    assert polly_document("Hello", 1.0) == "<speak>Hello</speak>"
    assert "prosody" not in azure_document("Hello", "en-IE-EmilyNeural", 1.0)


def test_what_cannot_be_read_is_left_out_and_punctuation_stays() -> None:
    assert readable('Hi\x00\x1b there\r\n "you" (all)\ud800\ufffe <3') == 'Hi there "you" (all) <3'
    assert readable("می\u200cخواهم\u202e") == "می\u200cخواهم"
    assert readable("?! …") == ""


@given(st.text(max_size=100))
def test_any_readable_text_makes_a_document_that_parses(text: str) -> None:
    plain = readable(text)
    assert "".join(ET.fromstring(polly_document(plain, 1.3)).itertext()) == plain
    assert "".join(ET.fromstring(azure_document(plain, "en-IE-EmilyNeural", 1.0)).itertext()) == plain
