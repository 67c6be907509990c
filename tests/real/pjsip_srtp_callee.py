"""A telephone made of PJSIP with SRTP, a program of its own: answers, says a tone, presses keys, records what it hears.

    python pjsip_srtp_callee.py WAV CODEC SRTP TONE KEYS

SRTP is `mandatory`, `optional` or `off`; TONE is a WAV file. Prints `listening PORT` when it can be called, and one
line of JSON about the call at its end.
"""

import json
import sys

import pjsua2 as pj

OVER_AFTER_SECONDS = 60
KEYS_AFTER_EVENTS = 60
SRTP = {
    "mandatory": pj.PJMEDIA_SRTP_MANDATORY,
    "optional": pj.PJMEDIA_SRTP_OPTIONAL,
    "off": pj.PJMEDIA_SRTP_DISABLED,
}
PATH, CODEC, WANTED, TONE, KEYS = sys.argv[1:]


class Telephone(pj.Call):  # type: ignore[misc]  # pjsua2 has no types
    """The one call that is taken."""

    def __init__(self, account: pj.Account, call_id: int) -> None:
        super().__init__(account, call_id)
        self._recorder = pj.AudioMediaRecorder()
        self._recorder.createRecorder(PATH)
        self._player = pj.AudioMediaPlayer()
        self._player.createPlayer(TONE, 0)
        self.report: dict[str, object] = {}
        self.up_for = 0
        self.is_up = False

    def onCallMediaState(self, _: object) -> None:  # noqa: N802 - named by PJSIP
        info = self.getInfo()  # it owns the list below
        for media in info.media:
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                sound = self.getAudioMedia(media.index)
                sound.startTransmit(self._recorder)
                self._player.startTransmit(sound)
                self.is_up = True

    def onStreamDestroyed(self, parameters: object) -> None:  # noqa: N802 - named by PJSIP
        stream = self.getStreamInfo(0)
        received = self.getStreamStat(0).rtcp.rxStat
        self.report = {
            "codec": stream.codecName,
            "protocol": int(stream.proto),
            "packets": received.pkt,
            "lost": received.loss,
        }

    def onCallState(self, _: object) -> None:  # noqa: N802 - named by PJSIP
        if self.getInfo().state == pj.PJSIP_INV_STATE_DISCONNECTED:
            account.over = True


class Account(pj.Account):  # type: ignore[misc]  # likewise
    """Whoever calls gets the telephone."""

    call: Telephone | None = None
    over = False

    def onIncomingCall(self, incoming: pj.OnIncomingCallParam) -> None:  # noqa: N802 - named by PJSIP
        self.call = Telephone(self, incoming.callId)
        answer = pj.CallOpParam()
        answer.statusCode = pj.PJSIP_SC_OK
        self.call.answer(answer)


def endpoint_on_loopback() -> pj.Endpoint:
    """PJSIP without threads of its own and without a sound card."""
    rate = 16_000 if CODEC == "G722" else 8_000
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    config = pj.EpConfig()
    config.logConfig.level = 0
    config.logConfig.consoleLevel = 0
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.medConfig.clockRate = config.medConfig.sndClockRate = rate
    config.medConfig.ecTailLen = 0
    config.medConfig.noVad = True
    endpoint.libInit(config)
    transport = pj.TransportConfig()
    transport.boundAddress = transport.publicAddress = "127.0.0.1"
    number = endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
    endpoint.libStart()
    endpoint.audDevManager().setNullDev()
    for known in endpoint.codecEnum2():
        endpoint.codecSetPriority(known.codecId, 255 if known.codecId.startswith(CODEC) else 0)
    port = endpoint.transportGetInfo(number).localName.rpartition(":")[2]
    print(f"listening {port}", flush=True)  # noqa: T201 - the test reads it
    return endpoint


endpoint = endpoint_on_loopback()
settings = pj.AccountConfig()
settings.idUri = "sip:callee@127.0.0.1"
settings.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
settings.mediaConfig.srtpUse = SRTP[WANTED]
settings.mediaConfig.srtpSecureSignaling = 0
account = Account()
account.create(settings)
for _ in range(OVER_AFTER_SECONDS * 100):
    endpoint.libHandleEvents(10)
    call = account.call
    if call is not None and call.is_up:
        call.up_for += 1
        if call.up_for == KEYS_AFTER_EVENTS and KEYS:
            call.dialDtmf(KEYS)
    if account.over:
        break
report = account.call.report if account.call is not None else None
account.call = call = None  # PJSIP's objects go before PJSIP does; the recorder writes its file
print(json.dumps(report), flush=True)  # noqa: T201 - likewise
endpoint.libDestroy()
