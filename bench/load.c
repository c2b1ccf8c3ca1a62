/* A load generator that is never the bottleneck: epoll, one thread, no allocation per message.
 *
 *   load -m tcp|tls|ws|v1 -a PORT [-c CONNECTIONS] [-s BYTES] [-p IN_FLIGHT] [-d SECONDS] [-w WARM_UP]
 *        [-P SERVER_PID[,PID...]] [-t] [-z] [-u UNIX_SOCKET] [-U TARGET]
 *   load -K -m tcp|ws|v1 -a PORT -c CONNECTIONS [-k CONCURRENT] [-H HOLD_SECONDS]
 *   load -F PER_SECOND -a PORT [-b FROM_ADDRESS] [-d SECONDS]
 *
 * Each connection keeps IN_FLIGHT messages of BYTES under way and sends a new one for each that
 * comes back. `v1` speaks the sub-protocol holdfast.v1: numbered commands, acknowledged outputs.
 * -t sends text frames, -z compressed ones (permessage-deflate). Prints one line of JSON: messages a second, percentiles of the round trip
 * in microseconds, the server's and our own share of a core, and `us_msg`, the server's CPU
 * microseconds a message (all its threads, from /proc, so that neighbours hardly disturb it).
 * -K opens the connections, CONCURRENT at a time, says how fast, and holds them.
 * -F opens connections and resets them at once, so many a second, from one address. Says how many
 * it tried and how many the kernel connected: it drops those for which the server's queue is full.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum mode { TCP, TLS, WS, V1 };
enum { MAX_IN_FLIGHT = 1024, ACK_EACH = 32, READ_SIZE = 1 << 18 };

struct connection {
    int fd;
    SSL *ssl;
    uint64_t *sent_at;        /* a ring of IN_FLIGHT times */
    int oldest, newest;       /* ends of that ring */
    int owed;                 /* messages to be sent */
    char *out;                /* bytes that the kernel did not take yet */
    size_t out_size, out_room;
    int writing;              /* EPOLLOUT is asked for */
    unsigned char head[10];   /* of the frame that is being read */
    int head_size, in_payload;
    uint64_t left;            /* of its payload (or of the message, for TCP) */
    char *text;               /* the payload of a v1 message */
    size_t text_size;
    long command, output, acked;
    int welcomed;
};

static enum mode mode = TCP;
static int port, connections = 100, in_flight = 1, concurrent = 64, text_frames, compressed, keep, flood_rate;
static int server_pids[64], server_count;
static size_t size = 64;
static double seconds = 3, warm_up = 0.5, hold;
static const char *unix_path, *target = "/", *from;
static SSL_CTX *tls;
static struct connection *all;
static int poller;
static uint64_t buckets[64 * 64], messages;
static char *frame; /* one message as it goes out; v1 frames are made anew */
static size_t frame_size;
static char *payload;

static void die(const char *what) {
    perror(what);
    exit(2);
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* CPU nanoseconds of all threads of a process. */
static uint64_t cpu_of(int pid) {
    char path[300];
    uint64_t sum = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *directory = opendir(path);
    if (!directory) return 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/%d/task/%.100s/schedstat", pid, entry->d_name);
        FILE *file = fopen(path, "r");
        unsigned long long spent;
        if (file && fscanf(file, "%llu", &spent) == 1) sum += spent;
        if (file) fclose(file);
    }
    closedir(directory);
    return sum;
}

/* A logarithmic histogram: 32 steps to each power of two. */
static int bucket(uint64_t value) {
    if (value < 64) return value;
    int power = 63 - __builtin_clzll(value);
    return (power - 5) * 32 + 32 + ((value >> (power - 5)) & 31);
}

static double percentile(double share) {
    uint64_t total = 0, seen = 0;
    for (int i = 0; i < 64 * 64; i++) total += buckets[i];
    for (int i = 0; i < 64 * 64; i++) {
        seen += buckets[i];
        if (seen < total * share || !seen) continue;
        if (i < 64) return i / 1000.0;
        return ((uint64_t)(32 + (i - 32) % 32) << ((i - 32) / 32)) / 1000.0;
    }
    return 0;
}

/* --- writing */

static void want_writing(struct connection *c, int on) {
    if (c->writing == on) return;
    c->writing = on;
    struct epoll_event event = {.events = EPOLLIN | (on ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
}

static void append(struct connection *c, const void *data, size_t length) {
    if (c->out_size + length > c->out_room) {
        c->out_room = 2 * (c->out_size + length);
        c->out = realloc(c->out, c->out_room);
    }
    memcpy(c->out + c->out_size, data, length);
    c->out_size += length;
}

static ssize_t tls_result(struct connection *c, int n) {
    if (n > 0) return n;
    int error = SSL_get_error(c->ssl, n);
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return error == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static ssize_t receive(struct connection *c, void *data, size_t length) {
    return c->ssl ? tls_result(c, SSL_read(c->ssl, data, length)) : read(c->fd, data, length);
}

static ssize_t transmit(struct connection *c, const void *data, size_t length) {
    return c->ssl ? tls_result(c, SSL_write(c->ssl, data, length)) : write(c->fd, data, length);
}

static void flush(struct connection *c) {
    size_t done = 0;
    while (done < c->out_size) {
        ssize_t n = transmit(c, c->out + done, c->out_size - done);
        if (n < 0 && errno == EAGAIN) break;
        if (n <= 0) die("write");
        done += n;
    }
    c->out_size -= done;
    memmove(c->out, c->out + done, c->out_size);
    want_writing(c, c->out_size > 0);
}

/* A client's frame: masked with zeros, so the payload stands as it is. */
static size_t write_head(char *to, int first, size_t length) {
    size_t n = 2;
    to[0] = (char)(0x80 | first);
    if (length < 126) {
        to[1] = (char)(0x80 | length);
    } else if (length < 65536) {
        to[1] = (char)(0x80 | 126);
        to[2] = (char)(length >> 8), to[3] = (char)length;
        n = 4;
    } else {
        to[1] = (char)(0x80 | 127);
        for (int i = 0; i < 8; i++) to[2 + i] = (char)((uint64_t)length >> (56 - 8 * i));
        n = 10;
    }
    memset(to + n, 0, 4);
    return n + 4;
}

static void append_frame(struct connection *c, int first, const char *data, size_t length) {
    char head[14];
    append(c, head, write_head(head, first, length));
    append(c, data, length);
}

static void append_message(struct connection *c) {
    if (mode != V1) {
        append(c, frame, frame_size);
        return;
    }
    char *json = alloca(size + 64);
    int n = sprintf(json, "{\"t\":\"cmd\",\"c\":%ld,\"d\":\"%.*s\"}", ++c->command, (int)size, payload);
    append_frame(c, 1, json, n);
}

static void send_owed(struct connection *c) {
    if (mode == V1 && c->output - c->acked >= ACK_EACH) {
        char json[64];
        append_frame(c, 1, json, sprintf(json, "{\"t\":\"ack\",\"n\":%ld}", c->output));
        c->acked = c->output;
    }
    for (; c->owed; c->owed--) append_message(c);
    if (c->out_size && !c->writing) flush(c);
}

/* --- reading */

static void completed(struct connection *c, uint64_t time) {
    buckets[bucket(time - c->sent_at[c->oldest])]++;
    c->oldest = (c->oldest + 1) % in_flight;
    messages++;
    c->sent_at[c->newest] = time;
    c->newest = (c->newest + 1) % in_flight;
    c->owed++;
}

/* A whole v1 message: outputs count, `welcome` begins, the rest is the house's own. */
static void v1_message(struct connection *c, uint64_t time) {
    c->text[c->text_size] = 0;
    if (!strncmp(c->text, "{\"t\":\"text\",\"n\":", 16)) {
        c->output = atol(c->text + 16);
        completed(c, time);
    } else if (!strncmp(c->text, "{\"t\":\"welcome\"", 14)) {
        c->welcomed = 1;
    } else if (!strncmp(c->text, "{\"t\":\"bye\"", 10)) {
        fprintf(stderr, "%s\n", c->text);
        exit(2);
    }
}

static void frame_done(struct connection *c, uint64_t time) {
    int opcode = c->head[0] & 15;
    c->in_payload = c->head_size = 0;
    if (opcode == 8) {
        fprintf(stderr, "the server closed\n");
        exit(2);
    }
    if (opcode == 9) append_frame(c, 10, c->text, c->text_size);
    else if (opcode < 3 && mode == V1) v1_message(c, time);
    else if (opcode < 3 && c->head[0] & 0x80) completed(c, time);
    c->text_size = 0;
}

static int head_complete(struct connection *c) {
    if (c->head_size < 2) return 0;
    int length = c->head[1] & 127, wanted = 2 + (length == 126 ? 2 : length == 127 ? 8 : 0);
    if (c->head_size < wanted) return 0;
    c->left = length;
    if (length >= 126) {
        c->left = 0;
        for (int i = 2; i < wanted; i++) c->left = c->left << 8 | c->head[i];
    }
    return 1;
}

static void read_frames(struct connection *c, const char *data, size_t length, uint64_t time) {
    while (length || (c->in_payload && !c->left)) {
        if (!c->in_payload) {
            c->head[c->head_size++] = (unsigned char)*data++;
            length--;
            if (!head_complete(c)) continue;
            c->in_payload = 1;
        }
        size_t part = c->left < length ? c->left : length;
        if (mode == V1 || (c->head[0] & 8)) {
            if (c->text_size + part > size + 4096) {
                fprintf(stderr, "a message that is too long\n");
                exit(2);
            }
            memcpy(c->text + c->text_size, data, part);
            c->text_size += part;
        }
        c->left -= part, data += part, length -= part;
        if (!c->left) frame_done(c, time);
    }
}

static void read_stream(struct connection *c, size_t length, uint64_t time) {
    while (length) {
        size_t part = c->left < length ? c->left : length;
        c->left -= part, length -= part;
        if (c->left) return;
        c->left = size;
        completed(c, time);
    }
}

static void readable(struct connection *c) {
    static char buffer[READ_SIZE];
    for (;;) {
        ssize_t n = receive(c, buffer, sizeof buffer);
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) die("read");
        if (n == 0) {
            fprintf(stderr, "the server hung up\n");
            exit(2);
        }
        uint64_t time = now();
        if (mode <= TLS) read_stream(c, n, time);
        else read_frames(c, buffer, n, time);
        if (n < (ssize_t)sizeof buffer && !c->ssl) break;
    }
}

/* --- connecting */

static int dial(int flags) {
    int fd, one = 1;
    if (unix_path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        strncpy(address.sun_path, unix_path, sizeof address.sun_path - 1);
        fd = socket(AF_UNIX, SOCK_STREAM | flags, 0);
        if (connect(fd, (void *)&address, sizeof address) < 0 && errno != EINPROGRESS) die("connect");
        return fd;
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    fd = socket(AF_INET, SOCK_STREAM | flags, 0);
    if (fd < 0) die("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (void *)&address, sizeof address) < 0 && errno != EINPROGRESS) die("connect");
    return fd;
}

static char handshake[1024];

static void make_handshake(void) {
    snprintf(handshake, sizeof handshake,
             "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s%s\r\n",
             target, port,
             compressed ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : "",
             mode == V1 ? "Sec-WebSocket-Protocol: holdfast.v1\r\n" : "");
}

static void say_hello(struct connection *c) {
    append_frame(c, 1, "{\"t\":\"hello\"}", 13);
    flush(c);
}

/* Read the answer's head byte by byte: what follows it must stay in the socket. */
static void await_upgrade(int fd) {
    char head[4096];
    for (int n = 0; n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4); n++) {
        if (n == sizeof head - 1 || read(fd, head + n, 1) != 1) {
            fprintf(stderr, "no upgrade: %.*s\n", n, head);
            exit(2);
        }
    }
    if (strncmp(head, "HTTP/1.1 101", 12) || (compressed && !strstr(head, "permessage-deflate"))) {
        fprintf(stderr, "no upgrade: %.100s\n", head);
        exit(2);
    }
}

static void open_one(struct connection *c) {
    c->fd = dial(0);
    if (mode == TLS) {
        c->ssl = SSL_new(tls);
        SSL_set_fd(c->ssl, c->fd);
        if (SSL_connect(c->ssl) != 1) {
            fprintf(stderr, "no TLS handshake\n");
            exit(2);
        }
    }
    if (mode > TLS) {
        if (write(c->fd, handshake, strlen(handshake)) < 0) die("handshake");
        await_upgrade(c->fd);
    }
    fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) | O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
    if (mode == V1) {
        say_hello(c);
        while (!c->welcomed) {
            struct epoll_event ready;
            if (epoll_wait(poller, &ready, 1, 5000) != 1) die("no welcome");
            readable(ready.data.ptr);
        }
    }
}

/* --- -K: open and hold */

static int advance(struct connection *c) {
    char buffer[4096];
    if (mode == TCP) {
        epoll_ctl(poller, EPOLL_CTL_DEL, c->fd, NULL);
        return 1;
    }
    if (!c->in_payload) {
        if (write(c->fd, handshake, strlen(handshake)) < 0) die("handshake");
        c->in_payload = 1;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
        return 0;
    }
    ssize_t n = read(c->fd, buffer, sizeof buffer - 1);
    if (n <= 0) die("handshake");
    buffer[n] = 0;
    if (!c->welcomed && !strstr(buffer, " 101 ")) {
        fprintf(stderr, "no upgrade: %.100s\n", buffer);
        exit(2);
    }
    if (mode == V1 && !c->welcomed) {
        c->welcomed = 1;
        say_hello(c);
        return 0;
    }
    epoll_ctl(poller, EPOLL_CTL_DEL, c->fd, NULL);
    return 1;
}

static void open_and_hold(void) {
    struct epoll_event ready[256];
    int started = 0, open = 0;
    uint64_t start = now();
    while (open < connections) {
        for (; started < connections && started - open < concurrent; started++) {
            struct connection *c = &all[started];
            c->fd = dial(SOCK_NONBLOCK);
            struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};
            epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
        }
        int n = epoll_wait(poller, ready, 256, 10000);
        if (n == 0) {
            fprintf(stderr, "stuck with %d open\n", open);
            exit(2);
        }
        for (int i = 0; i < n; i++) open += advance(ready[i].data.ptr);
    }
    printf("{\"open\":%d,\"per_second\":%.0f}\n", open, connections / ((now() - start) / 1e9));
    fflush(stdout);
    usleep(hold * 1e6);
    exit(0);
}

/* --- -F: open and reset */

/* Through loopback a handshake is over when connect() returns, if it is to be. */
static int is_connected(int fd) {
    unsigned char state = 0; /* struct tcp_info begins with it */
    socklen_t length = sizeof state;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &length) == 0 && state == TCP_ESTABLISHED;
}

static int open_and_reset(const struct sockaddr_in *to, const struct sockaddr_in *self) {
    static const struct linger reset = {1, 0}; /* keep no TIME_WAIT */
    static const int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0) die("socket");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (self) { /* else the kernel chooses 127.0.0.1, and two calls less are made */
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(fd, (const void *)self, sizeof *self) < 0) die("bind");
    }
    if (connect(fd, (const void *)to, sizeof *to) < 0 && errno != EINPROGRESS && errno != EADDRNOTAVAIL &&
        errno != ECONNRESET)
        die("connect");
    int connected = is_connected(fd);
    close(fd);
    return connected;
}

/* What is due opens in one go each half millisecond; who falls behind catches up. */
static void flood(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)}, self = {.sin_family = AF_INET};
    long tried = 0, connected = 0;
    uint64_t own = cpu_of(getpid()), begin = now(), end = begin + seconds * 1e9, time;
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    if (from) inet_pton(AF_INET, from, &self.sin_addr);
    while ((time = now()) < end) {
        long due = (time - begin) / 1e9 * flood_rate;
        if (tried >= due) {
            usleep(500);
            continue;
        }
        for (long turn = tried + 64 < due ? 64 : due - tried; turn; turn--, tried++)
            connected += open_and_reset(&to, from ? &self : NULL);
    }
    own = cpu_of(getpid()) - own;
    printf("{\"tried_s\":%.0f,\"connected_s\":%.0f,\"load_core\":%.3f}\n", tried / seconds, connected / seconds,
           own / 1e9 / seconds);
    exit(0);
}

/* --- */

static void parse_pids(char *text) {
    for (char *word = strtok(text, ","); word && server_count < 64; word = strtok(NULL, ","))
        server_pids[server_count++] = atoi(word);
}

static uint64_t cpu_of_server(void) {
    uint64_t sum = 0;
    for (int i = 0; i < server_count; i++) sum += cpu_of(server_pids[i]);
    return sum;
}

static void parse_options(int count, char **words) {
    for (int option; (option = getopt(count, words, "m:a:c:s:p:d:w:P:tzu:U:Kk:H:F:b:")) != -1;)
        switch (option) {
        case 'm':
            mode = !strcmp(optarg, "tcp") ? TCP : !strcmp(optarg, "tls") ? TLS : !strcmp(optarg, "ws") ? WS : V1;
            break;
        case 'a': port = atoi(optarg); break;
        case 'c': connections = atoi(optarg); break;
        case 's': size = atol(optarg); break;
        case 'p': in_flight = atoi(optarg); break;
        case 'd': seconds = atof(optarg); break;
        case 'w': warm_up = atof(optarg); break;
        case 'P': parse_pids(optarg); break;
        case 'F': flood_rate = atoi(optarg); break;
        case 'b': from = optarg; break;
        case 't': text_frames = 1; break;
        case 'z': compressed = 1; break;
        case 'u': unix_path = optarg; break;
        case 'U': target = optarg; break;
        case 'K': keep = 1; break;
        case 'k': concurrent = atoi(optarg); break;
        case 'H': hold = atof(optarg); break;
        default: exit(1);
        }
    if (in_flight < 1 || in_flight > MAX_IN_FLIGHT || connections < 1) {
        fprintf(stderr, "load: -p from 1 to %d, -c from 1\n", MAX_IN_FLIGHT);
        exit(1);
    }
}

/* The payload as permessage-deflate sends it, in its place; it refers to nothing before it. */
static size_t compress_payload(void) {
    z_stream stream = {0};
    unsigned char *packed = malloc(size + 1024);
    deflateInit2(&stream, 6, Z_DEFLATED, -12, 8, Z_DEFAULT_STRATEGY);
    stream.next_in = (unsigned char *)payload, stream.avail_in = size;
    stream.next_out = packed, stream.avail_out = size + 1024;
    deflate(&stream, Z_SYNC_FLUSH);
    free(payload);
    payload = (char *)packed;
    return stream.total_out - 4;
}

static void prepare(void) {
    static const char words[] = "the quick brown fox jumps over the lazy dog while we measure ";
    signal(SIGPIPE, SIG_IGN);
    make_handshake();
    if (mode == TLS) {
        tls = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
        SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
    all = calloc(connections, sizeof *all);
    poller = epoll_create1(0);
    payload = malloc(size + 1);
    for (size_t i = 0; i < size; i++) payload[i] = words[i % (sizeof words - 1)];
    size_t length = compressed ? compress_payload() : size;
    frame = malloc(length + 14);
    int first = (text_frames ? 1 : 2) | (compressed ? 0x40 : 0);
    frame_size = mode == WS ? write_head(frame, first, length) : 0;
    memcpy(frame + frame_size, payload, length);
    frame_size += length;
    for (int i = 0; i < connections; i++) {
        all[i].sent_at = calloc(in_flight, sizeof(uint64_t));
        all[i].text = malloc(size + 4097);
        all[i].left = size;
    }
}

static void serve(struct epoll_event *event) {
    struct connection *c = event->data.ptr;
    if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(c);
    if (event->events & EPOLLOUT) flush(c);
    send_owed(c);
}

static void measure(void) {
    struct epoll_event ready[512];
    uint64_t begin = now() + warm_up * 1e9, end = begin + seconds * 1e9, started = 0;
    uint64_t server = 0, own = 0, time;
    for (int i = 0; i < connections; i++) {
        for (int j = 0; j < in_flight; j++) all[i].sent_at[j] = now();
        all[i].owed = in_flight;
        send_owed(&all[i]);
    }
    while ((time = now()) < end) {
        if (!started && time >= begin) {
            memset(buckets, 0, sizeof buckets);
            messages = 0;
            started = time;
            server = cpu_of_server(), own = cpu_of(getpid());
        }
        int n = epoll_wait(poller, ready, 512, 100);
        for (int i = 0; i < n; i++) serve(&ready[i]);
    }
    double elapsed = (time - started) / 1e9;
    server = cpu_of_server() - server, own = cpu_of(getpid()) - own;
    printf("{\"rps\":%.0f,\"p50\":%.1f,\"p99\":%.1f,\"us_msg\":%.3f,\"server_core\":%.3f,\"load_core\":%.3f}\n",
           messages / elapsed, percentile(.5), percentile(.99),
           messages ? server / 1e3 / messages : 0, server / 1e9 / elapsed, own / 1e9 / elapsed);
}

int main(int count, char **words) {
    parse_options(count, words);
    prepare();
    if (flood_rate) flood();
    if (keep) open_and_hold();
    for (int i = 0; i < connections; i++) open_one(&all[i]);
    measure();
    return 0;
}
