/* Puts the same load on any WebSocket server with groups, and measures it: see compare.py, which runs it.
 *
 * One thread opens --conns connections, sends on each the --init messages, which join a group, and then publishes --pub
 * messages. A message contains a marker, @~<publisher>.<number>.<nanoseconds>~@, that is searched for in the bytes that
 * arrive. Frames are not parsed, so every dialect that forwards the marker as it is, uncompressed, is measured alike.
 * Per connection and publisher the numbers must increase by one; others are counted as gaps or duplicates.
 *
 * --conns N       connections                  --path P      of the WebSocket, with placeholders
 * --groups N      over which they are spread   --proto P     its subprotocol
 * --pubs N        publishers in each group     --init M      sent first on each connection; up to four times
 * --window N      messages of a publisher that may be on their way: the next is sent when one has come back
 * --rate N        messages per second of all publishers together, instead of --window
 * --pub M         the message                  --pad N       bytes of {p}
 * --warmup S, --duration S, --settle S         seconds before measuring, of measuring, after joining
 * --drain S                                    seconds after measuring in which messages still arrive, to count gaps
 * --cpu-pid N     the process whose CPU time is measured
 * Placeholders: {i} the connection, {g} its group, {m} the marker, {p} the padding, {k} line {i} of the file --tokens.
 * Without --pub it connects, prints a line, and keeps the connections open for --duration seconds.
 *
 * Build: cc -O2 -o load load.c
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_INIT 4
#define RBUF (1 << 18)
#define TAIL 64

typedef struct {
  int fd, open, group, pub; /* pub: index within the group, -1 if it only listens */
  uint32_t seq, acked;      /* published; own messages seen back */
  uint8_t tail[TAIL];
  int ntail;
  char *out;
  size_t nout, cout; /* unsent bytes */
  int stalled;
} conn_t;

static const char *host = "127.0.0.1", *path = "/", *proto = NULL, *pubt = NULL, *tokens = NULL, *origin = NULL;
static const char *inits[MAX_INIT];
static int ninit, port = 8000, nconns = 100, ngroups = 1, npubs = 1, pad = 0, stall = 0, batch = 500, raw = 0;
static double rate = 0, duration = 5, warmup = 1, settle = 1, drain = 2;
static int window = 0, quiet = 0;
static conn_t *C;
static char **tok;
static int ep;
static uint32_t *lastseq; /* conns x npubs */
static uint64_t delivered, sent, gaps, dups;
static int measuring;
static int cpu_pid;
static uint32_t *lat;
static uint64_t nlat, clat; /* latency samples, µs */
static uint64_t bytes_in;
static char *padding;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static size_t expand(char *dst, size_t cap, const char *tpl, conn_t *c, const char *marker) {
  size_t n = 0;
  int i = (int)(c - C);
  for (const char *s = tpl; *s && n + 1 < cap;) {
    if (s[0] == '{' && s[1] && s[2] == '}') {
      int w = -1;
      if (s[1] == 'i')
        w = snprintf(dst + n, cap - n, "%d", i);
      else if (s[1] == 'g')
        w = snprintf(dst + n, cap - n, "%d", c->group);
      else if (s[1] == 'm')
        w = snprintf(dst + n, cap - n, "%s", marker ? marker : "");
      else if (s[1] == 'p')
        w = snprintf(dst + n, cap - n, "%s", padding);
      else if (s[1] == 'k')
        w = snprintf(dst + n, cap - n, "%s", tok ? tok[i] : "");
      if (w >= 0) {
        n += w;
        s += 3;
        continue;
      }
    }
    dst[n++] = *s++;
  }
  dst[n < cap ? n : cap - 1] = 0;
  return n;
}

static void want(conn_t *c, int out) {
  struct epoll_event e = {.events = (c->stalled ? 0 : EPOLLIN) | (out ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}

static void push(conn_t *c, const void *p, size_t n) {
  if (!c->nout) {
    ssize_t w = send(c->fd, p, n, MSG_NOSIGNAL);
    if (w == (ssize_t)n) return;
    if (w > 0) {
      p = (char *)p + w;
      n -= w;
    }
  }
  if (c->nout + n > c->cout) {
    c->cout = (c->nout + n) * 2;
    c->out = realloc(c->out, c->cout);
  }
  memcpy(c->out + c->nout, p, n);
  c->nout += n;
  want(c, 1);
}

static void ws_send(conn_t *c, const char *msg, size_t n) {
  uint8_t b[14 + 65536];
  size_t h;
  if (raw) {
    push(c, msg, n);
    return;
  }
  b[0] = 0x81;
  if (n < 126) {
    b[1] = 0x80 | n;
    h = 2;
  } else if (n < 65536) {
    b[1] = 0x80 | 126;
    b[2] = n >> 8;
    b[3] = n;
    h = 4;
  } else {
    fprintf(stderr, "message too big\n");
    exit(2);
  }
  static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
  memcpy(b + h, mask, 4);
  h += 4;
  for (size_t i = 0; i < n; i++) b[h + i] = msg[i] ^ mask[i & 3];
  push(c, b, h + n);
}

static void publish(conn_t *c) {
  char marker[96], msg[65536];
  snprintf(marker, sizeof marker, "@~%d.%u.%llu~@", c->pub, ++c->seq, (unsigned long long)now_ns());
  size_t n = expand(msg, sizeof msg, pubt, c, marker);
  ws_send(c, msg, n);
  if (measuring) sent++;
}

static void on_marker(conn_t *c, const char *s, uint64_t t) {
  unsigned pub, seq;
  unsigned long long ns;
  if (sscanf(s, "@~%u.%u.%llu~@", &pub, &seq, &ns) != 3) return;
  int i = (int)(c - C);
  if ((int)pub < npubs) {
    uint32_t *l = &lastseq[(size_t)i * npubs + pub];
    if (seq == *l + 1 || *l == 0)
      *l = seq;
    else if (seq > *l + 1) {
      gaps += seq - *l - 1;
      *l = seq;
    } else
      dups++;
  }
  if (measuring) {
    delivered++;
    if (nlat < clat) lat[nlat++] = (uint32_t)((t - ns) / 1000);
  }
  if (c->pub == (int)pub) {
    c->acked++;
  }
}

static void on_data(conn_t *c, char *buf, size_t n) {
  /* buf has TAIL spare bytes in front for what was left of the last read */
  char *p = buf - c->ntail;
  memcpy(p, c->tail, c->ntail);
  size_t len = n + c->ntail;
  uint64_t t = now_ns();
  char *s = p, *end = p + len, *m;
  char *keep = end;
  while ((m = memmem(s, end - s, "@~", 2))) {
    char *e = memmem(m + 2, end - m - 2, "~@", 2);
    if (!e) {
      keep = m;
      goto done;
    }
    on_marker(c, m, t);
    s = e + 2;
  }
  keep = end > s && end[-1] == '@' ? end - 1 : end;
done:
  c->ntail = (int)(end - keep);
  if (c->ntail > TAIL) c->ntail = 0;
  memcpy(c->tail, keep, c->ntail);
}

static int cmp(const void *a, const void *b) {
  uint32_t x = *(uint32_t *)a, y = *(uint32_t *)b;
  return x < y ? -1 : x > y;
}

static int handshake_one(int i) {
  conn_t *c = &C[i];
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)}, src = {.sin_family = AF_INET};
  inet_pton(AF_INET, host, &a.sin_addr);
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int one = 1;
  if (c->fd < 0) {
    perror("socket");
    return -1;
  }
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  if (c->stalled) {
    int sz = 4096;
    setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &sz, sizeof sz);
  }
  if (nconns > 20000) {
    src.sin_addr.s_addr = htonl((127u << 24) + 1 + 1 + i / 20000);
    bind(c->fd, (void *)&src, sizeof src);
  }
  if (connect(c->fd, (void *)&a, sizeof a)) {
    perror("connect");
    return -1;
  }
  if (raw) {
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->open = 1;
    return 0;
  }
  char pth[4096], req[8192];
  expand(pth, sizeof pth, path, c, NULL);
  int n = snprintf(req, sizeof req,
                   "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s%s%s%s%s%s\r\n",
                   pth, host, port, proto ? "Sec-WebSocket-Protocol: " : "", proto ? proto : "", proto ? "\r\n" : "",
                   origin ? "Origin: " : "", origin ? origin : "", origin ? "\r\n" : "");
  if (send(c->fd, req, n, MSG_NOSIGNAL) != n) return -1;
  return 0;
}

static int handshake_finish(int i) {
  conn_t *c = &C[i];
  char b[4096];
  size_t n = 0;
  if (raw) return 0;
  for (;;) { /* byte-wise past the header end would be slow; peek, then consume the header exactly */
    ssize_t r = recv(c->fd, b, sizeof b - 1, MSG_PEEK);
    if (r <= 0) {
      fprintf(stderr, "conn %d: closed in handshake\n", i);
      return -1;
    }
    b[r] = 0;
    char *e = strstr(b, "\r\n\r\n");
    if (e) {
      n = e + 4 - b;
      break;
    }
    if (r == sizeof b - 1) return -1;
    usleep(200);
  }
  if (recv(c->fd, b, n, 0) != (ssize_t)n) return -1;
  b[n] = 0;
  if (!strstr(b, " 101")) {
    if (!quiet) fprintf(stderr, "conn %d refused: %.300s\n", i, b);
    return -1;
  }
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  c->open = 1;
  return 0;
}

static char *rb;
static double pid_cpu(int pid) { /* user+system seconds of a process, 0 where unknown */
  char p[64], b[1024];
  snprintf(p, sizeof p, "/proc/%d/stat", pid);
  FILE *f = fopen(p, "r");
  if (!f) return 0;
  size_t n = fread(b, 1, sizeof b - 1, f);
  fclose(f);
  b[n] = 0;
  char *s = strrchr(b, ')');
  unsigned long u = 0, k = 0;
  if (!s || sscanf(s + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &u, &k) != 2) return 0;
  return (double)(u + k) / sysconf(_SC_CLK_TCK);
}
static int poll_once(int ms) {
  struct epoll_event ev[512];
  int n = epoll_wait(ep, ev, 512, ms), closed = 0;
  for (int k = 0; k < n; k++) {
    conn_t *c = ev[k].data.ptr;
    if (ev[k].events & EPOLLOUT && c->nout) {
      ssize_t w = send(c->fd, c->out, c->nout, MSG_NOSIGNAL);
      if (w > 0) {
        memmove(c->out, c->out + w, c->nout - w);
        c->nout -= w;
      }
      if (!c->nout) want(c, 0);
    }
    if (ev[k].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
      ssize_t r = recv(c->fd, rb + TAIL, RBUF, 0);
      if (r > 0) {
        bytes_in += r;
        on_data(c, rb + TAIL, r);
      } else if (r == 0 || (errno != EAGAIN && errno != EINTR)) {
        epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, NULL);
        if (c->open) {
          c->open = 0;
          closed++;
        }
      }
    }
  }
  return closed;
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    const char *a = argv[i];
    if (!strcmp(a, "--quiet")) {
      quiet = 1;
      continue;
    }
    if (!strcmp(a, "--raw")) {
      raw = 1;
      continue;
    }
    const char *v = i + 1 < argc ? argv[++i] : "";
    if (!strcmp(a, "--host"))
      host = v;
    else if (!strcmp(a, "--port"))
      port = atoi(v);
    else if (!strcmp(a, "--path"))
      path = v;
    else if (!strcmp(a, "--proto"))
      proto = v;
    else if (!strcmp(a, "--origin"))
      origin = v;
    else if (!strcmp(a, "--conns"))
      nconns = atoi(v);
    else if (!strcmp(a, "--groups"))
      ngroups = atoi(v);
    else if (!strcmp(a, "--pubs"))
      npubs = atoi(v);
    else if (!strcmp(a, "--init"))
      inits[ninit++] = v;
    else if (!strcmp(a, "--pub"))
      pubt = v;
    else if (!strcmp(a, "--rate"))
      rate = atof(v);
    else if (!strcmp(a, "--window"))
      window = atoi(v);
    else if (!strcmp(a, "--duration"))
      duration = atof(v);
    else if (!strcmp(a, "--warmup"))
      warmup = atof(v);
    else if (!strcmp(a, "--settle"))
      settle = atof(v);
    else if (!strcmp(a, "--drain"))
      drain = atof(v);
    else if (!strcmp(a, "--pad"))
      pad = atoi(v);
    else if (!strcmp(a, "--stall"))
      stall = atoi(v);
    else if (!strcmp(a, "--tokens"))
      tokens = v;
    else if (!strcmp(a, "--batch"))
      batch = atoi(v);
    else if (!strcmp(a, "--cpu-pid"))
      cpu_pid = atoi(v);
    else {
      fprintf(stderr, "unknown %s\n", a);
      return 2;
    }
  }
  struct rlimit rl;
  getrlimit(RLIMIT_NOFILE, &rl);
  rl.rlim_cur = rl.rlim_max;
  setrlimit(RLIMIT_NOFILE, &rl);
  C = calloc(nconns, sizeof *C);
  lastseq = calloc((size_t)nconns * npubs, 4);
  clat = 8000000;
  lat = malloc(clat * 4);
  padding = malloc(pad + 1);
  memset(padding, 'x', pad);
  padding[pad] = 0;
  rb = malloc(RBUF + TAIL + 1);
  if (tokens) {
    FILE *f = fopen(tokens, "r");
    if (!f) {
      perror(tokens);
      return 2;
    }
    tok = calloc(nconns, sizeof *tok);
    char *l = NULL;
    size_t z = 0;
    for (int i = 0; i < nconns && getline(&l, &z, f) > 0; i++) {
      l[strcspn(l, "\n")] = 0;
      tok[i] = strdup(l);
    }
  }
  ep = epoll_create1(0);
  uint64_t t0 = now_ns();
  int bad = 0;
  for (int b = 0; b < nconns; b += batch) {
    int e = b + batch < nconns ? b + batch : nconns;
    for (int i = b; i < e; i++) {
      C[i].group = i % ngroups;
      C[i].pub = i / ngroups < npubs ? i / ngroups : -1;
      C[i].stalled = i >= nconns - stall;
      if (handshake_one(i)) {
        bad++;
        close(C[i].fd);
        C[i].fd = -1;
      }
    }
    for (int i = b; i < e; i++)
      if (C[i].fd >= 0) {
        if (handshake_finish(i)) {
          bad++;
          if (bad > 20 && !quiet) {
            fprintf(stderr, "too many refused\n");
            return 1;
          }
          continue;
        }
        struct epoll_event ev = {.events = C[i].stalled ? 0 : EPOLLIN, .data.ptr = &C[i]};
        epoll_ctl(ep, EPOLL_CTL_ADD, C[i].fd, &ev);
      }
    while (poll_once(0) > 0);
  }
  double tconn = (now_ns() - t0) / 1e9;
  int closed = 0;
  uint64_t until;
  for (int k = 0; k < ninit; k++) { /* one stage at a time: some servers drop what arrives before their own greeting */
    for (int i = 0; i < nconns; i++)
      if (C[i].open) {
        char m[8192];
        size_t n = expand(m, sizeof m, inits[k], &C[i], NULL);
        ws_send(&C[i], m, n);
        if (i % 64 == 63) closed += poll_once(0);
      }
    until = now_ns() + (uint64_t)(.3e9);
    while (now_ns() < until) closed += poll_once(10);
  }
  until = now_ns() + (uint64_t)(settle * 1e9);
  while (now_ns() < until) closed += poll_once(10);
  if (!pubt) {
    printf("{\"conns\":%d,\"refused\":%d,\"connect_s\":%.2f,\"closed\":%d}\n", nconns - bad, bad, tconn, closed);
    fflush(stdout);
    until = now_ns() + (uint64_t)(duration * 1e9);
    while (now_ns() < until) closed += poll_once(50);
    return 0;
  }
  int nsend = 0;
  conn_t **P = calloc(nconns, sizeof *P);
  for (int i = 0; i < nconns; i++)
    if (C[i].pub >= 0 && C[i].open) P[nsend++] = &C[i];
  uint64_t start = now_ns(), mstart = start + (uint64_t)(warmup * 1e9), stop = mstart + (uint64_t)(duration * 1e9),
           issued = 0;
  struct rusage u0, u1;
  uint64_t b0 = 0;
  double c0 = 0, c1;
  getrusage(RUSAGE_SELF, &u0);
  for (;;) {
    uint64_t t = now_ns();
    if (t >= stop) break;
    if (!measuring && t >= mstart) {
      measuring = 1;
      delivered = sent = nlat = 0;
      b0 = bytes_in;
      c0 = pid_cpu(cpu_pid);
      getrusage(RUSAGE_SELF, &u0);
    }
    if (window) {
      for (int k = 0; k < nsend; k++)
        while (P[k]->open && P[k]->seq - P[k]->acked < (uint32_t)window) publish(P[k]);
      closed += poll_once(1);
    } else {
      uint64_t due = (uint64_t)((t - start) / 1e9 * rate);
      int lim = 2000;
      while (issued < due && lim--) {
        conn_t *c = P[issued++ % nsend];
        if (c->open) publish(c);
      }
      closed += poll_once(issued < due ? 0 : 1);
    }
  }
  c1 = pid_cpu(cpu_pid);
  getrusage(RUSAGE_SELF, &u1);
  double dt = (now_ns() - mstart) / 1e9;
  uint64_t d = delivered, s = sent, bb = bytes_in - b0;
  measuring = 0;
  until = now_ns() + (uint64_t)(drain * 1e9);
  while (now_ns() < until) closed += poll_once(20); /* drain, for gap counting only */
  qsort(lat, nlat, 4, cmp);
  double cpu = (u1.ru_utime.tv_sec - u0.ru_utime.tv_sec) + (u1.ru_stime.tv_sec - u0.ru_stime.tv_sec) +
               (u1.ru_utime.tv_usec - u0.ru_utime.tv_usec + u1.ru_stime.tv_usec - u0.ru_stime.tv_usec) / 1e6;
#define PCT(q) (nlat ? lat[(uint64_t)((nlat - 1) * q)] / 1000.0 : 0)
  printf(
      "{\"conns\":%d,\"refused\":%d,\"closed\":%d,\"connect_s\":%.2f,\"sent_per_s\":%.0f,\"delivered_per_s\":%.0f,\"MB_"
      "in_per_s\":%.1f,\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"gaps\":%llu,\"dups\":%llu,"
      "\"gen_cpu\":%.2f,\"srv_cpu\":%.3f,\"secs\":%.2f}\n",
      nconns - bad, bad, closed, tconn, s / dt, d / dt, bb / dt / 1e6, PCT(.5), PCT(.9), PCT(.99), PCT(1),
      (unsigned long long)gaps, (unsigned long long)dups, cpu / dt, (c1 - c0) / dt, dt);
  return 0;
}
