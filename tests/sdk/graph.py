"""Microsoft's Graph SDK for Python against the emulator: GRAPH_URL and TOKEN come from the environment."""

import asyncio
import datetime
import os
import sys
import uuid

from kiota_abstractions.api_error import APIError
from kiota_abstractions.authentication import AccessTokenProvider, AllowedHostsValidator, BaseBearerTokenAuthenticationProvider
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.body_type import BodyType
from msgraph.generated.models.date_time_time_zone import DateTimeTimeZone
from msgraph.generated.models.event import Event
from msgraph.generated.models.item_body import ItemBody
from msgraph.generated.users.item.calendars.item.calendar_view.delta.delta_request_builder import DeltaRequestBuilder

BASE = os.environ["GRAPH_URL"]
PREFER = 'odata.maxpagesize=50, IdType="ImmutableId"'
counts = {True: 0, False: 0}


def check(what, ok, detail=""):
    counts[bool(ok)] += 1
    if not ok:
        print("FAILED", what, detail)


class Given(AccessTokenProvider):
    """Hands out the token of the environment."""

    async def get_authorization_token(self, uri, additional_authentication_context={}):
        return os.environ["TOKEN"]

    def get_allowed_hosts_validator(self):
        return AllowedHostsValidator([])


def with_prefer(**parameters):
    config = RequestConfiguration(**parameters)
    config.headers.add("Prefer", PREFER)
    return config


async def every(builder, config):
    """All pages of a listing: rows and delta link."""
    page = await builder.get(request_configuration=config)
    rows = list(page.value)
    while page.odata_next_link:
        page = await builder.with_url(page.odata_next_link).get(request_configuration=with_prefer())
        rows += page.value
    return rows, getattr(page, "odata_delta_link", None)


async def main():
    adapter = GraphRequestAdapter(BaseBearerTokenAuthenticationProvider(Given()))
    adapter.base_url = f"{BASE}/v1.0"
    client = GraphServiceClient(request_adapter=adapter)

    me = await client.me.get()
    check("the signed-in user is shown", "@" in me.user_principal_name)
    calendars, _ = await every(client.me.calendars, with_prefer())
    check("calendars are listed over several pages", len(calendars) > 10, len(calendars))
    calendar = next(c for c in calendars if c.is_default_calendar)
    mine = client.me.calendars.by_calendar_id(calendar.id)
    delta = mine.calendar_view.delta

    now = datetime.datetime.now(datetime.timezone.utc)
    at = lambda days: (now + datetime.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    window = DeltaRequestBuilder.DeltaRequestBuilderGetQueryParameters(start_date_time=at(-30), end_date_time=at(365))
    rows, link = await every(delta, with_prefer(query_parameters=window))
    check("a delta round brings events", len(rows) > 20, len(rows))
    check("a delta round ends with a delta link", link)

    start = now.replace(hour=9, minute=0, second=0, microsecond=0) + datetime.timedelta(days=2)
    time = lambda t: DateTimeTimeZone(date_time=t.strftime("%Y-%m-%dT%H:%M:%S"), time_zone="UTC")
    made = await mine.events.post(
        Event(
            subject="Made by the SDK",
            start=time(start),
            end=time(start + datetime.timedelta(hours=1)),
            body=ItemBody(content_type=BodyType.Text, content="hello"),
            transaction_id=str(uuid.uuid4()),
        ),
        request_configuration=with_prefer(),
    )
    check("an event is created", made.subject == "Made by the SDK")
    rows, link = await every(delta.with_url(link), with_prefer())
    check("the next round brings it", any(e.id == made.id and e.subject == made.subject for e in rows))

    event = mine.events.by_event_id(made.id)
    changed = await event.patch(Event(subject="Changed by the SDK"), request_configuration=with_prefer())
    check("an event is changed", changed.subject == "Changed by the SDK" and changed.change_key != made.change_key)
    stale = with_prefer()
    stale.headers.add("If-Match", f'W/"{made.change_key}"')
    try:
        await event.patch(Event(subject="Stale"), request_configuration=stale)
        check("a stale change is refused", False)
    except APIError as error:
        check("a stale change is refused", error.response_status_code == 412, error)
    rows, link = await every(delta.with_url(link), with_prefer())
    check("the next round brings the change", any(e.id == made.id and e.subject == changed.subject for e in rows))

    await event.delete()
    try:
        await event.get()
        check("an event is deleted", False)
    except APIError as error:
        check("an event is deleted", error.response_status_code == 404, error)
    rows, link = await every(delta.with_url(link), with_prefer())
    check("the next round removes it", any(e.id == made.id and "@removed" in e.additional_data for e in rows))


asyncio.run(main())
print(f"{counts[True]} passed, {counts[False]} failed")
sys.exit(0 if counts[False] == 0 else 1)
