#include <stdio.h>
#include <string.h>
#include "calmirror.h"
int main(int argc, char **argv) {
    (void)argc;
    calmirror_t h = calmirror_open(argv[1], strlen(argv[1]));
    if (!h) { fprintf(stderr, "%s\n", calmirror_last_error()); return 1; }
    const char *call = "{\"call\":\"agenda\",\"days\":14}";
    char *answer = calmirror_call(h, call, strlen(call));
    puts(answer);
    calmirror_free(answer);
    return calmirror_close(h);
}
