/*
 * A host in C: opens a mirror, signs its user in, syncs, asks for the agenda, adds an event, waits until the mirror tells of
 * it, and closes. Then everything that a host may do wrong, each of which is refused and harms nothing.
 *
 * usage: example CONFIG DATA_DIR        (a configuration of one account; see the README)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "calmirror.h"

/* Waits so long for the server and the engine. */
#define PATIENCE_MS 30000

static int failures = 0;

static void expect(int holds, const char *what) {
    if (!holds) {
        failures++;
        fprintf(stderr, "not so: %s (%s)\n", what, calmirror_last_error() ? calmirror_last_error() : "no problem");
    }
}

/* One call; the answer is freed by the caller. */
static char *call(calmirror_t handle, const char *text) {
    return calmirror_call(handle, text, strlen(text));
}

/* One call whose answer must hold a text. */
static void expect_answer(calmirror_t handle, const char *text, const char *expected) {
    char *answer = call(handle, text);
    if (answer == NULL || strstr(answer, expected) == NULL) {
        failures++;
        fprintf(stderr, "%.60s: expected %s, got %.300s\n", text, expected, answer ? answer : "nothing");
    }
    calmirror_free(answer);
}

/* The value of the first member `name` that is a number. */
static long long number(const char *json, const char *name) {
    char quoted[64];
    const char *begin;
    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    begin = strstr(json, quoted);
    return begin == NULL ? 0 : atoll(begin + strlen(quoted));
}

/* Waits for a notice that holds a text; the caller frees it. Null when none came. */
static char *wait_for(calmirror_t handle, const char *text) {
    for (;;) {
        char *notice = calmirror_next_notice(handle, PATIENCE_MS);
        if (notice == NULL || strstr(notice, text) != NULL) return notice;
        calmirror_free(notice);
    }
}

/* Waits until the change feed tells of an event; `since` is how far it was read. */
static int is_told(calmirror_t handle, const char *event, long long since) {
    char text[128], *notice, *lines;
    int is_here = 0;
    while (!is_here && (notice = wait_for(handle, "\"notice\":\"change\"")) != NULL) {
        snprintf(text, sizeof text, "{\"call\":\"changes\",\"since\":%lld}", since);
        lines = call(handle, text);
        is_here = lines != NULL && strstr(lines, event) != NULL;
        calmirror_free(lines);
        since = number(notice, "seq");
        calmirror_free(notice);
    }
    return is_here;
}

/* What the callback gets; it is called on one thread of the library, never twice at once. */
struct seen {
    long notices;
    calmirror_t handle;
};

static void on_notice(void *user, const char *notice, size_t length) {
    struct seen *seen = user;
    if (strlen(notice) == length) seen->notices++;
    /* A callback may call the library, also for its own handle. */
    calmirror_free(call(seen->handle, "{\"call\":\"status\"}"));
}

/* The value of the first member `name` that is a text, copied; freed by the caller. */
static char *member(const char *json, const char *name) {
    char quoted[64];
    const char *begin, *end;
    char *value;
    snprintf(quoted, sizeof quoted, "\"%s\":\"", name);
    begin = strstr(json, quoted);
    if (begin == NULL) return NULL;
    begin += strlen(quoted);
    end = strchr(begin, '"');
    if (end == NULL) return NULL;
    value = calloc((size_t)(end - begin) + 1, 1);
    if (value != NULL) memcpy(value, begin, (size_t)(end - begin));
    return value;
}

static void use(calmirror_t handle) {
    char *answer, *notice, *id, text[512], day[16];
    long long since;
    time_t next_week = time(NULL) + 7 * 86400;

    strftime(day, sizeof day, "%Y-%m-%d", gmtime(&next_week));
    calmirror_free(calmirror_next_notice(handle, 0)); /* listens from here on */
    expect_answer(handle, "{\"call\":\"sign_in\",\"way\":\"device_code\"}", "\"user_code\":");
    notice = wait_for(handle, "\"notice\":\"sign_in\"");
    expect(notice != NULL && strstr(notice, "\"signed_in\":true") != NULL, "the user signed in");
    calmirror_free(notice);

    expect_answer(handle, "{\"call\":\"sync\"}", "\"weather\":null");
    expect_answer(handle, "{\"call\":\"agenda\",\"days\":14}", "\"fresh\":true");
    expect_answer(handle, "{\"call\":\"hint\",\"user\":\"active\",\"battery\":false,\"network\":\"up\"}", "{\"ok\":");

    notice = wait_for(handle, "\"notice\":\"change\"");
    since = notice ? number(notice, "seq") : 0;
    calmirror_free(notice);
    snprintf(text, sizeof text,
             "{\"call\":\"add\",\"subject\":\"Review in C\",\"start\":\"%sT10:00\",\"end\":\"%sT11:00\","
             "\"tz\":\"Europe/Berlin\"}",
             day, day);
    answer = call(handle, text);
    id = answer ? member(answer, "id") : NULL;
    expect(id != NULL, "an event was added");
    calmirror_free(answer);
    if (id == NULL) return;
    expect(is_told(handle, id, since), "the new event was told");

    snprintf(text, sizeof text, "{\"call\":\"show\",\"id\":\"%s\"}", id);
    expect_answer(handle, text, "\"subject\":\"Review in C\"");
    expect_answer(handle, "{\"call\":\"sync\"}", "\"weather\":null");
    expect_answer(handle, text, "\"pending\":null");
    snprintf(text, sizeof text, "{\"call\":\"remove\",\"id\":\"%s\"}", id);
    expect_answer(handle, text, "{\"ok\":");
    free(id);
}

static void misuse(calmirror_t handle) {
    static const char invalid[] = "{\"call\":\"\xff\xfe\"}";
    static const char cut[] = "{\"call\":\"agenda\"";
    char *answer;

    expect_answer(handle, "{\"call\":\"burn\"}", "\"kind\":\"not_found\"");
    expect_answer(handle, "{\"call\":\"agenda\",\"day\":\"someday\"}", "\"kind\":\"usage\"");
    expect_answer(handle, "{\"call\":\"agenda\",\"colour\":\"red\"}", "\"kind\":\"usage\"");
    expect_answer(handle, "{\"call\":\"show\",\"id\":\"ffffffff\"}", "\"kind\":\"not_found\"");
    expect_answer(handle, "", "\"kind\":\"usage\"");
    expect_answer(handle, "[]", "\"kind\":\"usage\"");
    expect_answer(handle, invalid, "not UTF-8");
    expect(strstr(calmirror_last_error(), "not UTF-8") != NULL, "the last problem is kept");

    answer = calmirror_call(handle, cut, sizeof cut); /* with the zero in it */
    expect(answer && strstr(answer, "\"kind\":\"usage\""), "a zero inside is refused");
    calmirror_free(answer);
    answer = calmirror_call(handle, NULL, 0);
    expect(answer && strstr(answer, "null pointer"), "no text is refused");
    calmirror_free(answer);
    answer = calmirror_call(handle, cut, (size_t)-1); /* refused before anything is read */
    expect(answer && strstr(answer, "longer than"), "a negative length is refused");
    calmirror_free(answer);

    answer = calmirror_call(0, cut, sizeof cut - 1);
    expect(answer && strstr(answer, "not open"), "no handle is refused");
    calmirror_free(answer);
    answer = calmirror_call(handle + 1000, cut, sizeof cut - 1);
    expect(answer && strstr(answer, "not open"), "a handle that never was is refused");
    calmirror_free(answer);

    expect(calmirror_open(NULL, 7) == 0, "no options are refused");
    expect(calmirror_open("{}", (size_t)-1) == 0, "options of a negative length are refused");
    expect(calmirror_open("{\"role\":\"boss\"}", 15) == 0, "a wrong option is refused");
    expect(calmirror_last_error() && strstr(calmirror_last_error(), "\"kind\":\"usage\""), "and says why");
    expect(calmirror_next_notice(handle + 1000, 0) == NULL, "no notices of a handle that never was");
    expect(calmirror_last_error() && strstr(calmirror_last_error(), "not open"), "and says why");
    expect(calmirror_on_notice(0, on_notice, NULL) == -1, "no callback for no handle");
    calmirror_free(NULL);
}

int main(int count, char **arguments) {
    char options[4096];
    struct seen seen = {0, 0};
    calmirror_t handle;

    if (count != 3) {
        fprintf(stderr, "usage: %s CONFIG DATA_DIR\n", arguments[0]);
        return 2;
    }
    printf("calmirror %s\n", calmirror_version());
    snprintf(options, sizeof options, "{\"config_file\":\"%s\",\"data_dir\":\"%s\",\"keyring\":false}", arguments[1],
             arguments[2]);
    handle = calmirror_open(options, strlen(options));
    if (handle == 0) {
        fprintf(stderr, "%s\n", calmirror_last_error());
        return 1;
    }
    expect(calmirror_open(options, strlen(options)) == 0, "a second engine is refused");
    expect(calmirror_last_error() && strstr(calmirror_last_error(), "\"kind\":\"busy\""), "and says why");

    seen.handle = handle;
    expect(calmirror_on_notice(handle, on_notice, &seen) == 0, "a callback is taken");
    use(handle);
    misuse(handle);
    expect(calmirror_on_notice(handle, NULL, NULL) == 0, "the callback is taken back");
    expect(seen.notices > 0, "the callback was called");

    expect(calmirror_close(handle) == 0, "closed");
    expect(calmirror_close(handle) == -1, "a second close is refused");
    expect_answer(handle, "{\"call\":\"status\"}", "not open");
    expect(calmirror_next_notice(handle, 0) == NULL, "no notices after the end");
    printf("%ld notices to the callback, %d failures\n", seen.notices, failures);
    return failures == 0 ? 0 : 1;
}
