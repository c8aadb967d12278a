/* holder DIR: takes the lock of a spool directory as a supervisor does, says so, and waits for a line on standard input.
 * On it the turn is taken and played: `out` with one text, then the exit record given on that line. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *TEXT =
    "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"from the holder\"}]}}\n";

int main(int argc, char **argv) {
    char line[4096];
    if (argc != 2 || chdir(argv[1]) != 0) return 2;
    int lock = open("lock", O_RDWR | O_CREAT, 0600);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (lock < 0 || fcntl(lock, F_SETLK, &whole) != 0) return 3;
    puts("held");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin)) return 0;
    int out = open("out", O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0600);
    if (out < 0 || write(out, TEXT, strlen(TEXT)) < 0 || fsync(out) != 0) return 4;
    int exit_record = open("exit.json.tmp", O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (exit_record < 0 || write(exit_record, line, strlen(line)) < 0) return 5;
    return rename("exit.json.tmp", "exit.json") == 0 ? 0 : 6;
}
