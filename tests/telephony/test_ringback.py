"""The tone while another phone rings, as the media process finds it."""

from pathlib import Path

import numpy as np
import pytest

from callwright.audio.codecs import CODECS
from callwright.audio.coding import Decoder
from callwright.audio.compare import find_tones
from callwright.telephony.ringback import CADENCE_SECONDS, Ringback
from callwright.telephony.trunk import Trunk, wide_codecs


@pytest.mark.parametrize("wide", [(), ("G722",), ("G722", "OPUS")])
def test_it_is_there_in_every_codec_and_gone_when_closed(wide: tuple[str, ...]) -> None:
    tone = Ringback(wide)
    forms = {codec: Path(path).read_bytes() for codec, path in tone.prompt.paths.items()}
    tone.close()
    tone.close()
    assert not any(Path(path).exists() for path in tone.prompt.paths.values())
    assert set(forms) == {"PCMU", "PCMA", *wide}
    for codec, form in forms.items():
        size, decoder = CODECS[codec].frame_bytes, Decoder(codec)
        assert len(form) == CADENCE_SECONDS * 50 * size
        second = np.concatenate([decoder.decode(form[at : at + size]) for at in range(0, 50 * size, size)])
        step = CODECS[codec].sample_rate // 8_000
        assert sorted(round(hertz) for hertz in find_tones(second[::step], 1)) == [425]


def test_what_no_trunk_speaks_is_not_made() -> None:
    assert wide_codecs([Trunk("a", "192.0.2.1")]) == ()
    trunks = [Trunk("a", "192.0.2.1", codecs=("OPUS", "PCMU")), Trunk("b", "192.0.2.2", codecs=("G722", "OPUS"))]
    assert wide_codecs(trunks) == ("G722", "OPUS")
