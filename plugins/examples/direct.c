/*
 * A gateway in C: dials the target itself. It proves that the header is enough.
 *
 *   cc -shared -fPIC -I plugins/sdk/include -o direct-c.so plugins/examples/direct.c
 *   fab --plugin ./direct-c.so -g direct-c:// -H web1 -- uname
 */
#include "fabric_plugin.h"

#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <fcntl.h>
#include <errno.h>
#include <unistd.h>

static int32_t say(fabric_buf *out, int32_t status, const char *text)
{
    out->len = out->capacity = strlen(text);
    out->ptr = malloc(out->len);
    if (out->ptr == NULL) {
        out->len = out->capacity = 0;
        return FABRIC_FAILED;
    }
    memcpy(out->ptr, text, out->len);
    return status;
}

static int32_t describe(fabric_buf *out)
{
    return say(out, FABRIC_OK, "{\"kind\":\"gateway\",\"summary\":\"dials the target directly, in C\"}");
}

/* The value of a key in flat JSON as Fabric writes it: enough for host and port. */
static int value_of(fabric_str json, const char *key, char *out, size_t room)
{
    char quoted[64];
    const char *start, *end = (const char *)json.ptr + json.len;
    size_t length = (size_t)snprintf(quoted, sizeof quoted, "\"%s\":", key);
    for (start = (const char *)json.ptr; start + length < end; start++) {
        if (memcmp(start, quoted, length) == 0) {
            size_t n = 0;
            for (start += length; start < end && strchr(",}\"", *start) == NULL; start++) {
                if (n + 1 < room) out[n++] = *start;
            }
            if (n == 0 && start < end && *start == '"') {
                for (start++; start < end && *start != '"'; start++) {
                    if (n + 1 < room) out[n++] = *start;
                }
            }
            out[n] = '\0';
            return n > 0;
        }
    }
    return 0;
}

static int32_t dial(fabric_str request, int32_t cancel_fd, int32_t *out_fd, fabric_buf *error)
{
    char host[256], port[16];
    struct addrinfo hints = {0}, *addresses, *address;
    int fd = -1, cancelled = 0;

    if (!value_of(request, "host", host, sizeof host) || !value_of(request, "port", port, sizeof port)) {
        return say(error, FABRIC_FAILED, "the request has no host or no port");
    }
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(host, port, &hints, &addresses) != 0) {
        return say(error, FABRIC_FAILED, "cannot find the address");
    }
    for (address = addresses; address != NULL && fd < 0 && !cancelled; address = address->ai_next) {
        int pending = 0;
        socklen_t size = sizeof pending;
        fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) continue;
        if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
            struct pollfd fds[2] = {{fd, POLLOUT, 0}, {cancel_fd, POLLIN, 0}};
            if (errno == EINPROGRESS) poll(fds, 2, 30000);
            cancelled = fds[1].revents != 0;
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &size);
            if (pending != 0 || fds[0].revents == 0) {
                close(fd);
                fd = -1;
            }
        }
    }
    freeaddrinfo(addresses);
    if (cancelled) {
        if (fd >= 0) close(fd);
        return FABRIC_CANCELLED;
    }
    if (fd < 0) return say(error, FABRIC_FAILED, "cannot connect");
    *out_fd = fd;
    return FABRIC_OK;
}

static void give_back(fabric_buf buf)
{
    free(buf.ptr);
}

static const char NAME[] = "direct-c", VERSION[] = "1.0.0";

const fabric_plugin *fabric_plugin_entry(void)
{
    static fabric_plugin table;
    table.abi_version = FABRIC_ABI_VERSION;
    table.size = sizeof table;
    table.name.ptr = (const uint8_t *)NAME;
    table.name.len = sizeof NAME - 1;
    table.version.ptr = (const uint8_t *)VERSION;
    table.version.len = sizeof VERSION - 1;
    table.describe = describe;
    table.dial = dial;
    table.free = give_back;
    return &table;
}
