/* A disk that can be full, for a program that is started with this in LD_PRELOAD: while the file named by
   KEYTONE_DISK_FULL exists, nothing makes a regular file longer. What is there already can be written over, as on a real
   disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int no_room(int fd, off_t end)
{
    const char *flag = getenv("KEYTONE_DISK_FULL");
    struct stat file;
    if (flag == NULL || access(flag, F_OK) != 0 || fstat(fd, &file) != 0 || !S_ISREG(file.st_mode))
        return 0;
    return end > file.st_size;
}

static off_t place(int fd)
{
    struct stat file;
    if ((fcntl(fd, F_GETFL) & O_APPEND) != 0 && fstat(fd, &file) == 0)
        return file.st_size;
    return lseek(fd, 0, SEEK_CUR);
}

static off_t length(const struct iovec *parts, int count)
{
    off_t all = 0;
    for (int i = 0; i < count; i++)
        all += (off_t) parts[i].iov_len;
    return all;
}

#define NEXT(name, ...) \
    static name##_call next; \
    if (next == NULL) \
        next = (name##_call) dlsym(RTLD_NEXT, #name); \
    return next(__VA_ARGS__)

#define REFUSE_IF(fd, end) \
    if (no_room(fd, end)) { \
        errno = ENOSPC; \
        return -1; \
    }

typedef ssize_t (*write_call)(int, const void *, size_t);
ssize_t write(int fd, const void *data, size_t size)
{
    REFUSE_IF(fd, place(fd) + (off_t) size)
    NEXT(write, fd, data, size);
}

typedef ssize_t (*pwrite_call)(int, const void *, size_t, off_t);
ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    REFUSE_IF(fd, at + (off_t) size)
    NEXT(pwrite, fd, data, size, at);
}

typedef ssize_t (*pwrite64_call)(int, const void *, size_t, off64_t);
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    REFUSE_IF(fd, (off_t) at + (off_t) size)
    NEXT(pwrite64, fd, data, size, at);
}

typedef ssize_t (*pwritev_call)(int, const struct iovec *, int, off_t);
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    REFUSE_IF(fd, at + length(parts, count))
    NEXT(pwritev, fd, parts, count, at);
}

typedef ssize_t (*pwritev64_call)(int, const struct iovec *, int, off64_t);
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
    REFUSE_IF(fd, (off_t) at + length(parts, count))
    NEXT(pwritev64, fd, parts, count, at);
}

typedef int (*posix_fallocate_call)(int, off_t, off_t);
int posix_fallocate(int fd, off_t at, off_t size)
{
    if (no_room(fd, at + size))
        return ENOSPC;
    NEXT(posix_fallocate, fd, at, size);
}

typedef int (*posix_fallocate64_call)(int, off64_t, off64_t);
int posix_fallocate64(int fd, off64_t at, off64_t size)
{
    if (no_room(fd, (off_t) (at + size)))
        return ENOSPC;
    NEXT(posix_fallocate64, fd, at, size);
}
