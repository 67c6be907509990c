"""What `callwright run` greets with: a request that works when it is pasted, and who takes the calls."""

import json
import shlex

from callwright.callflow.plan import Say
from callwright.cli.run import SPOKEN, curl, trunk_words
from callwright.contract.policy import RequestPolicy
from callwright.contract.request import parse_callflow
from callwright.settings import HostPort, load


def test_the_curl_survives_a_shell_and_the_contract() -> None:
    words = shlex.split(curl(HostPort("127.0.0.1", 9000), "cw_key").replace("\\\n", " "))
    assert words[:4] == ["curl", "-X", "POST", "http://127.0.0.1:9000/api/v1/subaccounts/riders_hq/callflows"]
    assert words[4:8] == ["-H", "Authorization: Bearer cw_key", "-H", "Content-Type: application/json"]
    assert words[8] == "-d"
    callflow = parse_callflow(words[9].encode(), RequestPolicy(), 0.0, "request")
    say = callflow.actions[1]
    assert isinstance(say, Say)
    assert say.text == SPOKEN
    assert len(callflow.actions) == 3
    assert json.loads(words[9])["callflow"][2] == {"action": "hangup"}


def test_an_ipv6_address_is_written_in_brackets() -> None:
    assert '"http://[::1]:8080/api/' in curl(HostPort("::1", 8080), "cw_key")
    assert trunk_words(("::1", 5070), ()) == "built-in carrier at [::1]:5070, whose handset answers"


def test_trunks_are_named_with_their_addresses() -> None:
    toml = '[trunks.main]\nuri = "sip:192.0.2.1"\n[trunks.spare]\nuri = "sip:sip.example.com:5080"\n'
    trunks = load(toml, {}, {}).trunks
    assert trunk_words(None, trunks) == "main (sip:192.0.2.1), spare (sip:sip.example.com:5080)"
