//! A full disk has stopped a database.

use super::{Doing, Done, Open, Tale};

pub(super) fn tell(tale: Tale) -> Tale {
    let plan = [
        "Find what fills the disk",
        "Make room without losing data",
        "Bring PostgreSQL back",
        "Keep it from happening again",
    ];
    tale.todo(&[(Doing, plan[0]), (Open, plan[1]), (Open, plan[2]), (Open, plan[3])])
        .say("Let me see how bad it is before changing anything.")
        .bash(
            "df -h / /var && df -i /var",
            "Show space and inodes",
            "Filesystem      Size  Used Avail Use% Mounted on\n\
             /dev/vda1        40G   13G   25G  35% /\n\
             /dev/vdb1       100G  100G     0 100% /var\n\
             Filesystem      Inodes  IUsed   IFree IUse% Mounted on\n\
             /dev/vdb1      6553600 211870 6341730    4% /var",
        )
        .bash(
            "systemctl --failed --no-legend",
            "List failed services",
            "● postgresql@16-main.service loaded failed failed PostgreSQL Cluster 16-main",
        )
        .say("`/var` is full (space, not inodes), and PostgreSQL is down because of it. What takes the space?")
        .bash_for(
            2_200,
            "du -xh --max-depth=2 /var | sort -rh | head -6",
            "Find the largest folders",
            "100G\t/var\n71G\t/var/log\n69G\t/var/log/checkout\n24G\t/var/lib\n22G\t/var/lib/postgresql\n3.1G\t/var/cache",
        )
        .bash(
            "ls -lh --sort=size /var/log/checkout | head -4",
            "Look into the largest folder",
            "total 69G\n\
             -rw-r----- 1 checkout adm  64G Nov 21 03:12 debug.log\n\
             -rw-r----- 1 checkout adm 4.8G Nov 20 23:59 debug.log.1\n\
             -rw-r----- 1 checkout adm  21M Nov 21 03:12 error.log",
        )
        .read(
            "/etc/logrotate.d/checkout",
            "/var/log/checkout/*.log {\n    daily\n    rotate 14\n    compress\n    delaycompress\n    missingok\n}",
        )
        .say(
            "A debug log of 64 GB: it is rotated daily, whatever its size. It is open in the service, so deleting it would free \
             nothing; it must be truncated. I keep its last 100 MB for the people who will want to know why.",
        )
        .todo(&[(Done, plan[0]), (Doing, plan[1]), (Open, plan[2]), (Open, plan[3])])
        .fail(
            "tail -c 100M /var/log/checkout/debug.log > /var/log/checkout/debug.tail",
            "Keep the end of the log",
            "tail: error writing 'standard output': No space left on device",
        )
        .say("Of course: there is no room for it on this volume. `/` has 25 GB free.")
        .bash_for(
            1_600,
            "tail -c 100M /var/log/checkout/debug.log > /root/checkout-debug.tail && truncate -s 0 /var/log/checkout/debug.log && df -h /var",
            "Keep the end elsewhere, truncate",
            "Filesystem      Size  Used Avail Use% Mounted on\n/dev/vdb1       100G   36G   64G  36% /var",
        )
        .todo(&[(Done, plan[0]), (Done, plan[1]), (Doing, plan[2]), (Open, plan[3])])
        .bash_for(
            2_600,
            "systemctl reset-failed postgresql@16-main && systemctl start postgresql@16-main && pg_lsclusters",
            "Start PostgreSQL",
            "Ver Cluster Port Status Owner    Data directory              Log file\n\
             16  main    5432 online postgres /var/lib/postgresql/16/main /var/log/postgresql/postgresql-16-main.log",
        )
        .bash(
            "tail -3 /var/log/postgresql/postgresql-16-main.log",
            "Check its recovery",
            "LOG:  redo done at 4F/A2C81F08\nLOG:  checkpoint complete: wrote 1180 buffers (7.2%)\n\
             LOG:  database system is ready to accept connections",
        )
        .edit("/etc/logrotate.d/checkout", "    daily\n    rotate 14\n", "    daily\n    maxsize 1G\n    rotate 7\n")
        .todo(&[(Done, plan[0]), (Done, plan[1]), (Done, plan[2]), (Done, plan[3])])
        .say(
            "**Recovered.** PostgreSQL is online again and lost nothing.\n\n\
             - Cause: `/var/log/checkout/debug.log` had grown to 64 GB and filled `/var`.\n\
             - Done: kept its last 100 MB in `/root/checkout-debug.tail`, truncated it, started PostgreSQL, added `maxsize 1G` to its \
             rotation.\n\
             - For you: find out why checkout logs at debug level, and put an alert on `/var` at 80 %.",
        )
}
