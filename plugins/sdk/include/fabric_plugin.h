/*
 * The ABI between Fabric and a plugin, version 1.0.
 *
 * A plugin is a shared library that exports one function, fabric_plugin_entry(), which returns a pointer to a
 * table that lives as long as the library. Fabric reads abi_version and size first; it never reads a field
 * beyond size. Fields are only ever appended.
 *
 * Only plain data, JSON texts and file descriptors cross the ABI. Functions are called on threads of their own,
 * several at a time; each may block, but must return soon after cancel_fd has become readable. A function that
 * returns FABRIC_OK passes the ownership of the descriptors that it wrote, each of them a descriptor of its own
 * (dup()). One that returns anything else passes none, and may set *error, which must not contain a password.
 * Fabric passes every fabric_buf that a plugin returned to the plugin's free().
 */
#ifndef FABRIC_PLUGIN_H
#define FABRIC_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The high half must be equal on both sides; the low half counts additions. */
#define FABRIC_ABI_VERSION 0x00010000u

/* A text that the caller owns and that is valid during the call: UTF-8, not terminated. */
typedef struct fabric_str {
    const uint8_t *ptr;
    size_t len;
} fabric_str;

/* A text that the plugin owns until Fabric passes it to the plugin's free(). */
typedef struct fabric_buf {
    uint8_t *ptr;
    size_t len;
    size_t capacity;
} fabric_buf;

typedef enum fabric_status {
    FABRIC_OK = 0,          /* success */
    FABRIC_FAILED = 1,      /* failure; *error contains the reason */
    FABRIC_CANCELLED = 2,   /* cancel_fd became readable */
    FABRIC_UNSUPPORTED = 3, /* not supported by this plugin */
    FABRIC_PANICKED = 4     /* the plugin's code panicked */
} fabric_status;

typedef struct fabric_plugin {
    uint32_t abi_version; /* FABRIC_ABI_VERSION of the header it was built with */
    uint32_t size;        /* sizeof(fabric_plugin) of the header it was built with */
    fabric_str name;      /* the scheme or transport name: socks5 */
    fabric_str version;   /* its own version */

    /* {"kind": "gateway" | "transport", "summary": "...", "options": {NAME: {"type": "text" | "integer" | "bool" |
     * "list" (of texts), "doc": "...", "required"? false}}}. Fabric refuses other options, and values of other
     * types, before it calls the plugin. */
    int32_t (*describe)(fabric_buf *out);

    /* Gateways: a connected stream to the target. request: {"url", "password"?, "host", "port", "user"?,
     * "timeout_ms"?, "options"}. */
    int32_t (*dial)(fabric_str request, int32_t cancel_fd, int32_t *out_fd, fabric_buf *error);

    /* Transports: a session with the target. request: {"host", "port"?, "user"?, "host_string", "timeout_ms"?,
     * "ssh_options"? (lines of ssh_config), "options"}. *session is the plugin's own number for it. */
    int32_t (*open)(fabric_str request, int32_t cancel_fd, uint64_t *session, fabric_buf *error);

    /* Transports: a process. request: {"command"? (a text, or a list of byte values; none is a login shell), "pty"? {"term",
     * "columns", "rows"}, "env" {NAME: VALUE}}. out_fds: standard input (written by Fabric), standard
     * output, standard error (read by Fabric; -1 where merged), control. The control descriptor is a socket
     * with JSON lines. To the plugin: {"signal": "TERM"}, {"resize": {"columns": 80, "rows": 24}}. From it, once
     * the process has ended: {"exit": 0} or {"signal": "KILL", "core_dumped": false}. If it is
     * closed without that, the process's end is unknown. */
    int32_t (*spawn)(uint64_t session, fabric_str request, int32_t cancel_fd, int32_t out_fds[4],
                     fabric_buf *error);

    /* Transports: a stream to an SFTP server, version 3, or FABRIC_UNSUPPORTED. */
    int32_t (*files)(uint64_t session, int32_t cancel_fd, int32_t *out_fd, fabric_buf *error);

    /* Transports: the session has ended; its processes may be ended. */
    void (*close)(uint64_t session);

    /* Frees what the plugin returned. */
    void (*free)(fabric_buf buf);
} fabric_plugin;

/* The only exported symbol. */
const fabric_plugin *fabric_plugin_entry(void);

#ifdef __cplusplus
}
#endif

#endif
