//! The kernel kills a worker that eats all memory.

use super::{Doing, Done, Open, Tale};

const PLAN: [&str; 3] = ["Find what takes the memory", "Relieve the machine", "Limit the culprit"];

pub(super) fn tell(tale: Tale) -> Tale {
    repair(look(tale))
}

fn look(tale: Tale) -> Tale {
    tale.todo(&[(Doing, PLAN[0]), (Open, PLAN[1]), (Open, PLAN[2])])
        .say("First the state of memory and swap, and whom the kernel has killed.")
        .bash(
            "free -h",
            "Show memory and swap",
            "               total        used        free      shared  buff/cache   available\n\
             Mem:            31Gi        30Gi       214Mi       1.1Gi       780Mi       312Mi\n\
             Swap:          4.0Gi       4.0Gi          0B",
        )
        .bash(
            "journalctl -k --since -1h | grep -i 'out of memory' | tail -3",
            "Look for OOM kills",
            "Nov 21 02:41:07 app-3 kernel: Out of memory: Killed process 21877 (redis-server) total-vm:6291456kB\n\
             Nov 21 02:58:33 app-3 kernel: Out of memory: Killed process 22904 (redis-server) total-vm:6304100kB\n\
             Nov 21 03:09:12 app-3 kernel: Out of memory: Killed process 23511 (redis-server) total-vm:6298212kB",
        )
        .say("Redis has died three times within the hour, but it may be only the victim. Who is the largest?")
        .bash(
            "ps -eo pid,rss,etime,comm --sort=-rss | head -5",
            "List the largest processes",
            "    PID   RSS     ELAPSED COMMAND\n\
             \u{20}  4410 22817344  6-02:11:09 report-worker\n\
             \u{20} 23977  3190120       04:01 redis-server\n\
             \u{20}  1893  1204412 6-02:11:20 gunicorn\n\
             \u{20}  1894  1198820 6-02:11:20 gunicorn",
        )
        .bash_for(
            1_800,
            "for i in 1 2 3; do grep VmRSS /proc/4410/status; sleep 1; done",
            "See whether it still grows",
            "VmRSS:\t22817344 kB\nVmRSS:\t22825980 kB\nVmRSS:\t22834112 kB",
        )
        .say(
            "`report-worker` holds 22 GB after six days and grows by 8 MB a second: a leak. Its jobs are queued in Redis and taken up \
             again, so a restart is safe. I will drain it first.",
        )
}

fn repair(tale: Tale) -> Tale {
    tale.todo(&[(Done, PLAN[0]), (Doing, PLAN[1]), (Open, PLAN[2])])
        .fail(
            "systemctl kill -s USR1 report-worker && sleep 5 && pgrep -x report-worker",
            "Ask the worker to drain",
            "",
        )
        .say("It ended instead of draining: this version does not know USR1. It would have been restarted anyway.")
        .read(
            "/etc/systemd/system/report-worker.service",
            "[Unit]\nDescription=Report worker\nAfter=redis.service\n\n[Service]\nExecStart=/opt/report/bin/worker\nRestart=on-failure\n\n\
             [Install]\nWantedBy=multi-user.target",
        )
        .edit(
            "/etc/systemd/system/report-worker.service",
            "Restart=on-failure\n",
            "Restart=always\nMemoryHigh=5G\nMemoryMax=6G\nRuntimeMaxSec=1d\n",
        )
        .bash_for(
            2_400,
            "systemctl daemon-reload && systemctl restart report-worker redis && systemctl is-active report-worker redis",
            "Start both with the new limits",
            "active\nactive",
        )
        .bash_for(
            1_400,
            "free -h | head -2 && redis-cli ping && redis-cli llen reports",
            "Check memory and the queue",
            "               total        used        free      shared  buff/cache   available\n\
             Mem:            31Gi       7.4Gi        21Gi       1.1Gi       2.4Gi        22Gi\nPONG\n(integer) 148",
        )
        .todo(&[(Done, PLAN[0]), (Done, PLAN[1]), (Done, PLAN[2])])
        .say(
            "**Recovered.** 22 GB are available again, Redis answers, and 148 reports are being worked off.\n\n\
             - Cause: `report-worker` leaks memory; the kernel killed Redis in its stead.\n\
             - Done: restarted the worker with `MemoryMax=6G` and a restart once a day.\n\
             - For you: the leak itself. It began six days ago, with the last deployment.",
        )
}
