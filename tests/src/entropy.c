/* For the OpenSSL of Debian 11, which has no use for a kernel without getrandom(2): its random
 * numbers come from where those of Linux 3.2 came from. Loaded into every dynamic program of the old
 * OS by /etc/ld.so.preload; launcher and init are static. */

#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

int getentropy(void *buffer, size_t length) {
    int urandom = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (urandom < 0)
        return -1;
    ssize_t got = read(urandom, buffer, length);
    close(urandom);
    return got == (ssize_t)length ? 0 : -1;
}
