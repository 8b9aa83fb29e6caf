// What pipe runs inside of a container, whatever its image has: no C library, no shell, nothing to install.
//
//   inside wait FIFO    process 1: takes the orphans, ends when nobody holds the FIFO any more (pipe is gone),
//                       hands SIGTERM on to every process of the container
//   inside probe FILE   FILE is a socket address of 16 bytes and a request: connects, sends it, prints the answer
//
// build.sh makes the programs that are part of pipe.

#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, OPENAT = 257, PPOLL = 271, SIGNALFD = 289, SIGACTION = 13, SIGMASK = 14, KILL = 62,
       EXIT = 231, SOCKET = 41, CONNECT = 42, TIMER = 38 };
static long call(long n, long a, long b, long c, long d, long e) {
    long r;
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e;
    __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
    return r;
}
__asm__(".global _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
#elif defined(__aarch64__)
enum { READ = 63, WRITE = 64, OPENAT = 56, PPOLL = 73, SIGNALFD = 74, SIGACTION = 134, SIGMASK = 135, KILL = 129,
       EXIT = 94, SOCKET = 198, CONNECT = 203, TIMER = 103 };
static long call(long n, long a, long b, long c, long d, long e) {
    register long x8 __asm__("x8") = n, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c,
                  x3 __asm__("x3") = d, x4 __asm__("x4") = e;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
}
__asm__(".global _start\n_start: mov x0, sp\n bl begin\n");
#endif

enum { HERE = -100, RDONLY = 0, NONBLOCK = 04000, SIG_TERM = 15, SIG_CHLD = 17, BLOCK = 0, POLLIN = 1, POLLHUP = 16 };

struct fd { int fd; short events, got; };
static unsigned char buffer[65536];

static void end(long code) {
    for (;;) call(EXIT, code, 0, 0, 0, 0);
}

static void wait(const char *fifo) {
    unsigned long term = 1UL << (SIG_TERM - 1);
    // Ignored children are reaped by the kernel.
    unsigned long ignore[4] = {1, 0, 0, 0};
    call(SIGACTION, SIG_CHLD, (long)ignore, 0, 8, 0);
    call(SIGMASK, BLOCK, (long)&term, 0, 8, 0);
    struct fd fds[2];
    fds[0].fd = (int)call(SIGNALFD, -1, (long)&term, 8, 0, 0);
    fds[0].events = POLLIN;
    // Where the folder is shared with another kernel nobody ever holds the other end: no POLLHUP comes, it waits on.
    fds[1].fd = (int)call(OPENAT, HERE, (long)fifo, RDONLY | NONBLOCK, 0, 0);
    fds[1].events = 0;
    for (;;) {
        fds[0].got = fds[1].got = 0;
        if (call(PPOLL, (long)fds, 2, 0, 0, 8) < 0) continue;
        if (fds[1].got & POLLHUP) end(0);
        if (fds[0].got & POLLIN) {
            call(READ, fds[0].fd, (long)buffer, 128, 0, 0);
            call(KILL, -1, SIG_TERM, 0, 0, 0);
        }
    }
}

static void probe(const char *file) {
    // Ends with SIGALRM.
    long limit[4] = {0, 0, 5, 0};
    call(TIMER, 0, (long)limit, 0, 0, 0);
    long in = call(OPENAT, HERE, (long)file, RDONLY, 0, 0);
    long size = call(READ, in, (long)buffer, sizeof buffer, 0, 0);
    if (size < 16) end(2);
    long s = call(SOCKET, buffer[0], 1, 0, 0, 0);
    if (call(CONNECT, s, (long)buffer, 16, 0, 0) != 0) end(1);
    if (size == 16) end(0);
    if (call(WRITE, s, (long)(buffer + 16), size - 16, 0, 0) != size - 16) end(1);
    for (long all = 0; all < 1 << 20;) {
        long n = call(READ, s, (long)buffer, sizeof buffer, 0, 0);
        if (n <= 0) break;
        call(WRITE, 1, (long)buffer, n, 0, 0);
        all += n;
    }
    end(0);
}

__attribute__((used)) void begin(long *stack) {
    const char **argv = (const char **)(stack + 1);
    if (stack[0] != 3) end(2);
    if (argv[1][0] == 'w') wait(argv[2]);
    probe(argv[2]);
}
