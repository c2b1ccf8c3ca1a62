/* Publishers on HTTP/1.1 connections that are kept, one request under way on each.
 *
 *     publish PORT CONNECTIONS SECONDS WARM_UP < REQUESTS
 *
 * sends the requests round and round, and prints how many were answered in a second and its own CPU time for each, as a
 * JSON object. REQUESTS are requests with their bodies, each behind its length as a line. Every answer must be a 200 in
 * one piece. Answers are read in rounds of a millisecond: a program that is woken for each one would measure the scheduler.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 4096
#define ROUND_MICROSECONDS 1000
static const char ok[] = "HTTP/1.1 200 ";

static char *requests[MOST];
static size_t sizes[MOST];
static uint64_t count, sent;

static void die(const char *what) {
    fprintf(stderr, "publish: %s\n", what);
    exit(1);
}

static double seconds_of(clockid_t clock) {
    struct timespec at;
    clock_gettime(clock, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void read_requests(void) {
    size_t size;
    while (scanf("%zu", &size) == 1) {
        if (count == MOST || getchar() != '\n') die("cannot read the requests");
        requests[count] = malloc(size);
        sizes[count] = size;
        if (fread(requests[count++], 1, size, stdin) != size) die("a request is too short");
    }
    if (!count) die("expected requests, found none");
}

static void send_next(int fd) {
    uint64_t next = sent++ % count;
    if (send(fd, requests[next], sizes[next], MSG_NOSIGNAL) != (ssize_t)sizes[next]) die("cannot send");
}

static void take_answer(int fd) {
    char answer[4096];
    ssize_t found = recv(fd, answer, sizeof answer - 1, 0);
    if (found < (ssize_t)sizeof ok || memcmp(answer, ok, sizeof ok - 1)) {
        answer[found > 0 ? found : 0] = 0;
        die(answer);
    }
}

static void dial(int poller, int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) die("cannot connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    send_next(fd);
}

int main(int words, char **word) {
    if (words != 5) die("expected PORT CONNECTIONS SECONDS WARM_UP");
    int poller = epoll_create1(0), connections = atoi(word[2]);
    double warm_up = atof(word[4]), end = warm_up + atof(word[3]);
    read_requests();
    for (int number = 0; number < connections; number++) dial(poller, atoi(word[1]));
    double begun = seconds_of(CLOCK_MONOTONIC), now, since = 0, cpu = 0;
    uint64_t answered = 0, before = 0;
    while ((now = seconds_of(CLOCK_MONOTONIC) - begun) < end) {
        struct epoll_event events[256];
        if (!since && now >= warm_up) {
            since = now;
            before = answered;
            cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
        }
        usleep(ROUND_MICROSECONDS);
        int ready = epoll_wait(poller, events, 256, 1000);
        for (int index = 0; index < ready; index++) {
            take_answer(events[index].data.fd);
            answered++;
            send_next(events[index].data.fd);
        }
    }
    double done = (double)(answered - before);
    if (!done) die("nothing was answered");
    printf("{\"per_second\": %.1f, \"us_load\": %.2f}\n", done / (now - since),
           (seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu) / done * 1e6);
    return 0;
}
