//! A look around: load, memory, disks, services, clock; one small thing is wrong.

use super::{Doing, Done, Open, Tale};

pub(super) fn tell(tale: Tale) -> Tale {
    let plan = ["Load, memory, disks", "Services and logs", "Time and certificates"];
    tale.todo(&[(Doing, plan[0]), (Open, plan[1]), (Open, plan[2])])
        .say("I take the pulse first and change nothing while I look.")
        .bash(
            "uptime; free -m | head -2; df -h --output=target,pcent / /var /srv",
            "Load, memory and disks",
            " 03:14:15 up 41 days,  6:02,  1 user,  load average: 7.91, 7.40, 6.88\n\
             \u{20}              total        used        free      shared  buff/cache   available\n\
             Mem:           32061       11873        2210         412       17978       19360\n\
             Mounted on Use%\n/           41%\n/var        63%\n/srv        72%",
        )
        .bash_for(
            2_200,
            "vmstat 1 3 | tail -2; ps -eo pcpu,pid,etime,comm --sort=-pcpu | head -4",
            "What keeps the CPUs busy",
            " 8  0      0 2261044 318200 18092144    0    0     4   210 9120 14877 92  6  2  0  0\n\
             \u{20}7  0      0 2259980 318200 18092160    0    0     0   188 9044 14601 93  5  2  0  0\n\
             %CPU     PID     ELAPSED COMMAND\n 388   30122    02:41:09 zstd\n 102   30119    02:41:09 backup.sh\n 9.1    1712 41-06:01:44 postgres",
        )
        .say("Memory and disks are well. The load is the nightly backup: it compresses on four CPUs, in the busiest hour.")
        .todo(&[(Done, plan[0]), (Doing, plan[1]), (Open, plan[2])])
        .bash_for(
            1_500,
            "systemctl --failed --no-legend; journalctl -p err --since -2h --no-pager -o short | tail -3",
            "Failed services and errors",
            "Nov 21 02:40:11 web-1 nginx[1388]: upstream timed out (110: Connection timed out) while reading response header\n\
             Nov 21 02:57:48 web-1 nginx[1388]: upstream timed out (110: Connection timed out) while reading response header\n\
             Nov 21 03:11:02 web-1 nginx[1388]: upstream timed out (110: Connection timed out) while reading response header",
        )
        .read(
            "/etc/systemd/system/backup.service",
            "[Service]\nType=oneshot\nExecStart=/usr/local/bin/backup.sh\nUser=backup",
        )
        .say("Nothing has failed, but requests time out since the backup began. It should give way to all others.")
        .fail(
            "sudo -u backup renice -n 19 -p 30122",
            "Lower its priority as its owner",
            "renice: failed to set priority for 30122 (process ID): Permission denied",
        )
        .bash("renice -n 19 -p 30122 30119 && ionice -c 3 -p 30122 30119", "As root", "30122 (process ID) old priority 0, new priority 19\n30119 (process ID) old priority 0, new priority 19")
        .edit("/etc/systemd/system/backup.service", "User=backup", "User=backup\nNice=19\nIOSchedulingClass=idle\nCPUWeight=10")
        .todo(&[(Done, plan[0]), (Done, plan[1]), (Doing, plan[2])])
        .bash_for(
            1_600,
            "timedatectl show -p NTPSynchronized; openssl x509 -noout -enddate -in /etc/nginx/tls/site.pem; curl -s -o /dev/null -w '%{time_total}\\n' http://127.0.0.1/",
            "Clock, certificate, response time",
            "NTPSynchronized=yes\nnotAfter=Jan 30 11:00:00 2027 GMT\n0.041",
        )
        .todo(&[(Done, plan[0]), (Done, plan[1]), (Done, plan[2])])
        .say(
            "**The machine is sound.** One thing was wrong, and is put right:\n\n\
             - The nightly backup took four CPUs and made requests time out. It now yields to everything else, today and from now on; \
             the front door answers in 41 ms.\n\
             - Disks at 41, 63 and 72 %, memory with 19 GB to spare, no failed service, clock in step, certificate good until January.\n\
             - For you: consider to begin the backup at 01:00.",
        )
}
