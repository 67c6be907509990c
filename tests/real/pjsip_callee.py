"""A telephone made of PJSIP, a program of its own: rings, answers, records what it hears.

    python pjsip_callee.py WAV CODEC

Prints `listening PORT` when it can be called, and one line of JSON about the call at its end.
"""

import json
import sys

import pjsua2 as pj

RING_EVENTS = 20
OVER_AFTER_SECONDS = 60


class Telephone(pj.Call):  # type: ignore[misc]  # pjsua2 has no types
    """The one call that is taken."""

    def __init__(self, account: pj.Account, call_id: int, path: str) -> None:
        super().__init__(account, call_id)
        self._recorder = pj.AudioMediaRecorder()
        self._recorder.createRecorder(path)
        self.report: dict[str, object] | None = None

    def onCallMediaState(self, _: object) -> None:  # noqa: N802 - named by PJSIP
        info = self.getInfo()  # it owns the list below
        for media in info.media:
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                self.getAudioMedia(media.index).startTransmit(self._recorder)

    def onStreamDestroyed(self, parameters: object) -> None:  # noqa: N802 - named by PJSIP
        stream = self.getStreamInfo(0)
        received = self.getStreamStat(0).rtcp.rxStat
        self.report = {
            "codec": stream.codecName,
            "packets": received.pkt,
            "lost": received.loss,
            "reordered": received.reorder,
            "duplicated": received.dup,
            "discarded": received.discard,
        }

    def onCallState(self, _: object) -> None:  # noqa: N802 - named by PJSIP
        if self.getInfo().state == pj.PJSIP_INV_STATE_DISCONNECTED:
            account.over = True


class Account(pj.Account):  # type: ignore[misc]  # likewise
    """Whoever calls gets the telephone."""

    call: Telephone | None = None
    over = False

    def onIncomingCall(self, incoming: pj.OnIncomingCallParam) -> None:  # noqa: N802 - named by PJSIP
        self.call = Telephone(self, incoming.callId, sys.argv[1])
        answer = pj.CallOpParam()
        answer.statusCode = pj.PJSIP_SC_RINGING
        self.call.answer(answer)


def endpoint_on_loopback(codec: str) -> pj.Endpoint:
    """PJSIP without threads of its own and without a sound card, at 8 kHz."""
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    config = pj.EpConfig()
    config.logConfig.level = 0
    config.logConfig.consoleLevel = 0
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.medConfig.clockRate = config.medConfig.sndClockRate = 8000
    config.medConfig.ecTailLen = 0
    config.medConfig.noVad = True
    endpoint.libInit(config)
    transport = pj.TransportConfig()
    transport.boundAddress = transport.publicAddress = "127.0.0.1"
    number = endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
    endpoint.libStart()
    endpoint.audDevManager().setNullDev()
    for known in endpoint.codecEnum2():
        endpoint.codecSetPriority(known.codecId, 255 if known.codecId.startswith(codec) else 0)
    port = endpoint.transportGetInfo(number).localName.rpartition(":")[2]
    print(f"listening {port}", flush=True)  # noqa: T201 - the test reads it
    return endpoint


endpoint = endpoint_on_loopback(sys.argv[2])
settings = pj.AccountConfig()
settings.idUri = "sip:callee@127.0.0.1"
settings.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
account = Account()
account.create(settings)
rung = 0
for _ in range(OVER_AFTER_SECONDS * 100):
    endpoint.libHandleEvents(10)
    if account.call is not None and rung <= RING_EVENTS:
        rung += 1
        if rung == RING_EVENTS:
            answer = pj.CallOpParam()
            answer.statusCode = pj.PJSIP_SC_OK
            account.call.answer(answer)
    if account.over:
        break
report = account.call.report if account.call is not None else None
account.call = None  # PJSIP's objects go before PJSIP does; the recorder writes its file
print(json.dumps(report), flush=True)  # noqa: T201 - likewise
endpoint.libDestroy()
