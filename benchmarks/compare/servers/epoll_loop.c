/* The least that a server with groups does, as a limit that no other one can reach: an epoll loop that takes text frames
 * apart, finds the group by a text search, and writes to each member once per turn of the loop. It checks nothing.
 *
 * Build: cc -O2 -o epoll_loop epoll_loop.c      Run: epoll_loop PORT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
typedef struct {
  int fd, st, g;
  uint8_t b[4096];
  int n;
} C;
#define G 20000
static C **mem[G];
static int nm[G], cm[G];
static char *pend[G];
static int np[G], cp[G];
static int dirty[G], ndirty;
int main(int c, char **v) {
  (void)c;
  int port = atoi(v[1]);
  int l = socket(AF_INET, SOCK_STREAM, 0), o = 1;
  setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &o, sizeof o);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  bind(l, (void *)&a, sizeof a);
  listen(l, 4096);
  fcntl(l, F_SETFL, O_NONBLOCK);
  int ep = epoll_create1(0);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = 0};
  epoll_ctl(ep, EPOLL_CTL_ADD, l, &e);
  struct epoll_event ev[1024];
  for (;;) {
    int n = epoll_wait(ep, ev, 1024, -1);
    for (int i = 0; i < n; i++) {
      if (!ev[i].data.ptr) {
        int f;
        while ((f = accept(l, 0, 0)) >= 0) {
          fcntl(f, F_SETFL, O_NONBLOCK);
          setsockopt(f, IPPROTO_TCP, TCP_NODELAY, &o, sizeof o);
          C *x = calloc(1, sizeof *x);
          x->fd = f;
          x->g = -1;
          e.data.ptr = x;
          epoll_ctl(ep, EPOLL_CTL_ADD, f, &e);
        }
        continue;
      }
      C *x = ev[i].data.ptr;
      int r = recv(x->fd, x->b + x->n, sizeof x->b - x->n, 0);
      if (r <= 0) {
        if (r < 0 && errno == EAGAIN) continue;
        close(x->fd);
        epoll_ctl(ep, EPOLL_CTL_DEL, x->fd, 0);
        continue;
      }
      x->n += r;
      if (!x->st) {
        if (memmem(x->b, x->n, "\r\n\r\n", 4)) {
          const char *h =
              "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
              "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
          send(x->fd, h, strlen(h), 0);
          x->st = 1;
          x->n = 0;
        }
        continue;
      }
      for (;;) {
        if (x->n < 2) break;
        int L = x->b[1] & 127, h = 2;
        if (L == 126) {
          if (x->n < 4) break;
          L = x->b[2] << 8 | x->b[3];
          h = 4;
        }
        if (x->n < h + 4 + L) break;
        uint8_t *k = x->b + h, *p = x->b + h + 4;
        for (int j = 0; j < L; j++) p[j] ^= k[j & 3];
        if (memmem(p, L, "joinRoom", 8)) {
          char *q = memmem(p, L, "\"rid\":\"g", 8);
          int g = atoi(q + 8);
          x->g = g;
          if (nm[g] == cm[g]) {
            cm[g] = cm[g] ? cm[g] * 2 : 16;
            mem[g] = realloc(mem[g], cm[g] * sizeof(C *));
          }
          mem[g][nm[g]++] = x;
        } else if (x->g >= 0) {
          int g = x->g;
          char f[4200];
          int fh = L < 126 ? 2 : 4;
          f[0] = 0x81;
          if (L < 126)
            f[1] = L;
          else {
            f[1] = 126;
            f[2] = L >> 8;
            f[3] = L;
          }
          memcpy(f + fh, p, L);
          int F = fh + L;
          if (!np[g]) dirty[ndirty++] = g;
          if (np[g] + F > cp[g]) {
            cp[g] = (np[g] + F) * 2;
            pend[g] = realloc(pend[g], cp[g]);
          }
          memcpy(pend[g] + np[g], f, F);
          np[g] += F;
        }
        int tot = h + 4 + L;
        memmove(x->b, x->b + tot, x->n - tot);
        x->n -= tot;
      }
    }
    for (int i = 0; i < ndirty; i++) {
      int g = dirty[i];
      for (int j = 0; j < nm[g]; j++) send(mem[g][j]->fd, pend[g], np[g], MSG_NOSIGNAL);
      np[g] = 0;
    }
    ndirty = 0;
  }
}
