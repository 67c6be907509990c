/* The ears and mouths of thousands of callees: receives RTP, measures every stream, and talks back.

   cc -O2 -o crowd crowd.c; crowd FRAMES-FILE. The file is the message as it should be heard, 160 bytes a frame.

   Each callee has an address of its own in 127.0.0.0/8, so a few sockets serve all of them: callee i is at
   127.(1 + i/65536).(i/256 % 256).(i % 256), port ports[i % SOCKETS]. The kernel says to which address a packet came
   and when; nothing is lost while this process sleeps, as far as the buffers go.

   First line of output: {"ports": [...]}. Then commands, one a line, and one line of JSON for each answer:

     add I HOST PORT   callee I is up and talks to that address (no answer)
     del I             it is gone (no answer)
     talk 0|1          callees send a packet each 20 ms, or nothing (no answer)
     begin             forget what was measured
     report            what was measured since

   Figures are about packets between `begin` and `report`. A gap is the time between two packets of a stream that
   follow each other in their sequence numbers. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    SOCKETS = 16,
    MOST_CALLEES = 65536,
    FRAME = 160,
    HEADER = 12,
    BATCH = 256,
    SLOTS = 5,
    BINS = 20000, /* of 50 microseconds: up to a second */
    BUFFER_BYTES = 32 << 20,
};
static const int64_t TICK_NS = 4000000, BIN_NS = 50000, FRAME_NS = 20000000;

struct callee {
    struct sockaddr_in peer;
    uint32_t ssrc, timestamp;
    uint16_t sequence;
    char is_up;
    /* what it hears */
    char heard;
    uint16_t first, last;
    uint32_t last_timestamp;
    int64_t last_ns, packets, span;
    int position; /* frame of the message that came last, -1: none of it */
};

static struct callee callees[MOST_CALLEES];
static int up[MOST_CALLEES], ups; /* those that are up, in no order */
static int rtp[SOCKETS], ports[SOCKETS];
static uint8_t *message;
static int frames;
static int64_t gaps[BINS + 1], packets, late, wrong, other, longest_ns;
static uint64_t chance = 88172645463325252ULL;

static uint32_t randomly(void) {
    chance ^= chance << 13, chance ^= chance >> 7, chance ^= chance << 17;
    return chance >> 16;
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void open_sockets(void) {
    for (int i = 0; i < SOCKETS; i++) {
        for (;;) {
            struct sockaddr_in at = {.sin_family = AF_INET};
            socklen_t size = sizeof at;
            int one = 1, room = BUFFER_BYTES, small = 4096;
            int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), rtcp = socket(AF_INET, SOCK_DGRAM, 0);
            if (fd < 0 || rtcp < 0 || bind(fd, (struct sockaddr *)&at, sizeof at)) die("socket");
            getsockname(fd, (struct sockaddr *)&at, &size);
            at.sin_port = htons(ntohs(at.sin_port) + 1);
            /* RTCP is never read: it is to find somebody, and no more. */
            if (ntohs(at.sin_port) % 2 == 0 || bind(rtcp, (struct sockaddr *)&at, sizeof at)) {
                close(fd), close(rtcp);
                continue;
            }
            setsockopt(rtcp, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
            if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room))
                setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
            if (setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one)) die("IP_PKTINFO");
            if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one)) die("SO_TIMESTAMPNS");
            rtp[i] = fd, ports[i] = ntohs(at.sin_port) - 1;
            break;
        }
    }
}

static uint32_t address_of(int i) { return 0x7F000000u | (uint32_t)(i + 65536); }

static void content(struct callee *c, const uint8_t *payload, uint32_t timestamp) {
    int64_t ahead = (int32_t)(timestamp - c->last_timestamp) / FRAME;
    if (c->position >= 0) {
        c->position = (int)((c->position + ahead) % frames);
        if (c->position < 0 || memcmp(message + c->position * FRAME, payload, FRAME)) wrong++, c->position = -1;
        return;
    }
    for (int k = 0; k < frames; k++)
        if (!memcmp(message + k * FRAME, payload, FRAME)) {
            c->position = k;
            return;
        }
    wrong++;
}

static void hear(struct callee *c, const uint8_t *data, int size, int64_t at_ns) {
    uint16_t sequence = data[2] << 8 | data[3];
    uint32_t timestamp = (uint32_t)data[4] << 24 | data[5] << 16 | data[6] << 8 | data[7];
    if (size != HEADER + FRAME || data[0] != 0x80) {
        other++;
        return;
    }
    packets++;
    if (!c->heard) {
        c->heard = 1, c->first = sequence, c->span = 1, c->packets = 1;
    } else {
        int16_t step = (int16_t)(sequence - c->last);
        c->packets++;
        if (step <= 0) {
            late++; /* doubled or out of order */
            return;
        }
        c->span += step;
        int64_t gap = at_ns - c->last_ns;
        if (step == 1) {
            int64_t bin = gap < 0 ? 0 : gap / BIN_NS;
            gaps[bin < BINS ? bin : BINS]++;
            if (gap > longest_ns) longest_ns = gap;
        }
    }
    content(c, data + HEADER, timestamp);
    c->last = sequence, c->last_timestamp = timestamp, c->last_ns = at_ns;
}

static void drain(int fd) {
    static uint8_t data[BATCH][256];
    static char control[BATCH][128];
    static struct mmsghdr heads[BATCH];
    static struct iovec vectors[BATCH];
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            vectors[i] = (struct iovec){data[i], sizeof data[i]};
            heads[i].msg_hdr = (struct msghdr){
                .msg_iov = &vectors[i], .msg_iovlen = 1, .msg_control = control[i], .msg_controllen = sizeof control[i]};
        }
        int got = recvmmsg(fd, heads, BATCH, 0, NULL);
        for (int i = 0; i < got; i++) {
            int64_t at = 0;
            uint32_t address = 0;
            for (struct cmsghdr *c = CMSG_FIRSTHDR(&heads[i].msg_hdr); c; c = CMSG_NXTHDR(&heads[i].msg_hdr, c)) {
                if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
                    address = ntohl(((struct in_pktinfo *)CMSG_DATA(c))->ipi_addr.s_addr);
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
                    struct timespec *t = (struct timespec *)CMSG_DATA(c);
                    at = t->tv_sec * 1000000000LL + t->tv_nsec;
                }
            }
            uint32_t index = (address & 0xFFFFFF) - 65536;
            if (index < MOST_CALLEES && heads[i].msg_len >= HEADER)
                hear(&callees[index], data[i], (int)heads[i].msg_len, at);
        }
        if (got < BATCH) return;
    }
}

/* Callees of one slot whose socket is `s` say something. */
static void talk(int slot, int s) {
    static uint8_t data[BATCH][HEADER + FRAME];
    static char control[BATCH][CMSG_SPACE(sizeof(struct in_pktinfo))];
    static struct mmsghdr heads[BATCH];
    static struct iovec vectors[BATCH];
    int count = 0;
    for (int k = 0; k <= ups; k++) {
        if (count == BATCH || (k == ups && count)) {
            for (int sent = 0; sent < count;) {
                int done = sendmmsg(rtp[s], heads + sent, count - sent, 0);
                sent += done > 0 ? done : 1; /* one that cannot be sent, such as to a call that just ended */
            }
            count = 0;
        }
        if (k == ups) return;
        int i = up[k];
        if (i % SOCKETS != s || i / SOCKETS % SLOTS != slot) continue;
        struct callee *c = &callees[i];
        uint8_t *d = data[count];
        uint32_t fields[2] = {htonl(c->timestamp), htonl(c->ssrc)};
        d[0] = 0x80, d[1] = 0, d[2] = c->sequence >> 8, d[3] = c->sequence & 0xFF;
        memcpy(d + 4, fields, 8);
        if (d[HEADER] != 0xFE) memset(d + HEADER, 0xFE, FRAME);
        c->sequence++, c->timestamp += FRAME;
        vectors[count] = (struct iovec){d, HEADER + FRAME};
        struct msghdr *h = &heads[count].msg_hdr;
        *h = (struct msghdr){.msg_name = &c->peer, .msg_namelen = sizeof c->peer, .msg_iov = &vectors[count],
                             .msg_iovlen = 1, .msg_control = control[count], .msg_controllen = sizeof control[count]};
        struct cmsghdr *m = CMSG_FIRSTHDR(h);
        m->cmsg_level = IPPROTO_IP, m->cmsg_type = IP_PKTINFO, m->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
        struct in_pktinfo from = {.ipi_spec_dst.s_addr = htonl(address_of(i))};
        memcpy(CMSG_DATA(m), &from, sizeof from);
        count++;
    }
}

static double gap_ms(double share, int64_t total, int error) {
    int64_t want = (int64_t)(share * (double)total + 0.999999), seen = 0;
    int centre = (int)(FRAME_NS / BIN_NS);
    for (int width = 0; width <= BINS; width++) {
        if (error) { /* bins on both sides of 20 ms, from the middle outwards */
            seen += centre + width <= BINS ? gaps[centre + width] : 0;
            seen += width && centre - width >= 0 ? gaps[centre - width] : 0;
        } else
            seen += gaps[width];
        if (seen >= want) return (double)((width + 1) * BIN_NS) / 1e6;
    }
    return (double)longest_ns / 1e6;
}

static void report(void) {
    int64_t total = 0, expected = 0, received = 0, silent = 0;
    for (int i = 0; i <= BINS; i++) total += gaps[i];
    for (int k = 0; k < ups; k++) {
        struct callee *c = &callees[up[k]];
        silent += !c->heard;
        expected += c->heard ? c->span : 0, received += c->heard ? c->packets : 0;
    }
    printf("{\"packets\": %lld, \"missing\": %lld, \"doubled_or_late\": %lld, \"wrong\": %lld, \"other\": %lld, "
           "\"streams\": %d, \"silent_streams\": %lld, \"gaps\": %lld, \"longest_gap_ms\": %.3f, "
           "\"gap_ms\": {\"p50\": %.2f, \"p99\": %.2f, \"p99.9\": %.2f}, "
           "\"gap_error_ms\": {\"p50\": %.2f, \"p99\": %.2f, \"p99.9\": %.2f}}\n",
           (long long)packets, (long long)(expected - (received - late)), (long long)late, (long long)wrong,
           (long long)other, ups, (long long)silent, (long long)total, (double)longest_ns / 1e6, gap_ms(0.5, total, 0),
           gap_ms(0.99, total, 0), gap_ms(0.999, total, 0), gap_ms(0.5, total, 1), gap_ms(0.99, total, 1),
           gap_ms(0.999, total, 1));
    fflush(stdout);
}

static void begin(void) {
    memset(gaps, 0, sizeof gaps);
    packets = late = wrong = other = longest_ns = 0;
    for (int i = 0; i < MOST_CALLEES; i++) callees[i].heard = 0;
}

static void add(int i, const char *host, int port) {
    struct callee *c = &callees[i];
    if (!c->is_up) up[ups++] = i;
    c->is_up = 1, c->heard = 0, c->position = -1;
    c->peer = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, host, &c->peer.sin_addr);
    c->ssrc = randomly(), c->timestamp = randomly(), c->sequence = randomly();
}

static void del(int i) {
    for (int k = 0; k < ups && callees[i].is_up; k++)
        if (up[k] == i) up[k] = up[--ups], callees[i].is_up = 0;
}

static int obey(char *line, int *talking) {
    char host[64];
    int i, port;
    if (sscanf(line, "add %d %63s %d", &i, host, &port) == 3 && i >= 0 && i < MOST_CALLEES)
        add(i, host, port);
    else if (sscanf(line, "del %d", &i) == 1 && i >= 0 && i < MOST_CALLEES)
        del(i);
    else if (sscanf(line, "talk %d", &i) == 1)
        *talking = i;
    else if (!strcmp(line, "begin"))
        begin();
    else if (!strcmp(line, "report"))
        report();
    else
        return 0;
    return 1;
}

int main(int argc, char **argv) {
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!file) die("the message's frames");
    fseek(file, 0, SEEK_END);
    frames = (int)(ftell(file) / FRAME);
    rewind(file);
    message = malloc((size_t)frames * FRAME + 1);
    if (fread(message, FRAME, frames, file) != (size_t)frames) die(argv[1]);
    open_sockets();
    prctl(PR_SET_TIMERSLACK, 1000);
    printf("{\"ports\": [");
    for (int i = 0; i < SOCKETS; i++) printf("%s%d", i ? ", " : "", ports[i]);
    printf("]}\n");
    fflush(stdout);
    fcntl(0, F_SETFL, O_NONBLOCK);
    static char text[1 << 16];
    size_t have = 0;
    int talking = 0;
    int64_t began = now_ns();
    for (int64_t tick = 0;; tick++) {
        struct timespec due = {(began + tick * TICK_NS) / 1000000000LL, (began + tick * TICK_NS) % 1000000000LL};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        for (int i = 0; i < SOCKETS; i++) drain(rtp[i]);
        for (int i = 0; talking && i < SOCKETS; i++) talk((int)(tick % SLOTS), i);
        ssize_t got = read(0, text + have, sizeof text - 1 - have);
        if (got == 0) return 0;
        if (got < 0) continue;
        have += (size_t)got, text[have] = 0;
        char *line = text, *end;
        while ((end = strchr(line, '\n'))) {
            *end = 0;
            if (!obey(line, &talking)) fprintf(stderr, "no such command: %s\n", line), exit(2);
            line = end + 1;
        }
        have -= (size_t)(line - text);
        memmove(text, line, have);
    }
}
