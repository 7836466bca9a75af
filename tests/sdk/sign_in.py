"""Signs in by device code against AUTHORITY_URL and prints the access token."""

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request

BASE = os.environ["AUTHORITY_URL"] + "/common/oauth2/v2.0"


def post(endpoint, **form):
    try:
        with urllib.request.urlopen(f"{BASE}/{endpoint}", urllib.parse.urlencode(form).encode()) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        return json.load(error)


device = post("devicecode", client_id="sdk-test", scope="openid offline_access Calendars.ReadWrite")
for _ in range(30):
    tokens = post(
        "token",
        client_id="sdk-test",
        grant_type="urn:ietf:params:oauth:grant-type:device_code",
        device_code=device["device_code"],
    )
    if "access_token" in tokens:
        print(tokens["access_token"])
        break
    if tokens["error"] not in ("authorization_pending", "slow_down"):
        raise SystemExit(tokens["error"])
    time.sleep(device["interval"])
else:
    raise SystemExit("the device code was not approved in time")
