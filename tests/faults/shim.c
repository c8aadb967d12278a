/* Faults in front of libc (LD_PRELOAD), switched by files in the folder FAULT_SWITCHES:
 *   enospc  writing to files whose path has FAULT_ONLY in it fails with ENOSPC
 *   fsync   fsync and fdatasync of such files fail with EIO; what was written stays in the page cache
 *   eio     reading from such files fails with EIO
 *   clock   holds a number of seconds, by which the wall clock is wrong; the clocks that only grow stay right
 * A FAULT_ONLY that ends with a `$` means the end of the path. Removing or cutting files is always possible, as on a disk that is really full. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int is_on(const char *fault) {
    const char *folder = getenv("FAULT_SWITCHES");
    char path[4096];
    if (!folder) return 0;
    snprintf(path, sizeof path, "%s/%s", folder, fault);
    return access(path, F_OK) == 0;
}

static int is_ours(int fd) {
    const char *only = getenv("FAULT_ONLY");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0 || !only) return 0;
    path[length] = 0;
    size_t wanted = strlen(only);
    if (wanted > 0 && only[wanted - 1] == '$') {
        wanted--;
        return (size_t)length >= wanted && strncmp(path + length - wanted, only, wanted) == 0;
    }
    return path[0] == '/' && strstr(path, only) != NULL;
}

static int fails(int fd, const char *fault, int with) {
    int saved = errno;
    int hit = is_on(fault) && is_ours(fd);
    errno = hit ? with : saved;
    return hit;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *from, size_t count) {
    return fails(fd, "enospc", ENOSPC) ? -1 : NEXT(write)(fd, from, count);
}
ssize_t writev(int fd, const struct iovec *pieces, int count) {
    return fails(fd, "enospc", ENOSPC) ? -1 : NEXT(writev)(fd, pieces, count);
}
ssize_t pwrite(int fd, const void *from, size_t count, off_t at) {
    return fails(fd, "enospc", ENOSPC) ? -1 : NEXT(pwrite)(fd, from, count, at);
}
ssize_t pwrite64(int fd, const void *from, size_t count, off64_t at) {
    return fails(fd, "enospc", ENOSPC) ? -1 : NEXT(pwrite64)(fd, from, count, at);
}
ssize_t pread(int fd, void *into, size_t count, off_t at) {
    return fails(fd, "eio", EIO) ? -1 : NEXT(pread)(fd, into, count, at);
}
ssize_t pread64(int fd, void *into, size_t count, off64_t at) {
    return fails(fd, "eio", EIO) ? -1 : NEXT(pread64)(fd, into, count, at);
}
int fsync(int fd) {
    return fails(fd, "fsync", EIO) ? -1 : NEXT(fsync)(fd);
}
int fdatasync(int fd) {
    return fails(fd, "fsync", EIO) ? -1 : NEXT(fdatasync)(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = NEXT(clock_gettime)(clock, now);
    const char *folder = getenv("FAULT_SWITCHES");
    char path[4096], text[32] = "";
    int saved = errno, fd;
    if (result != 0 || !folder || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return result;
    snprintf(path, sizeof path, "%s/clock", folder);
    if ((fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0) {
        if (read(fd, text, sizeof text - 1) > 0) now->tv_sec += atol(text);
        close(fd);
    }
    errno = saved;
    return result;
}
