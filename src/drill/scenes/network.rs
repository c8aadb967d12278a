//! Names are not resolved any more.

use super::{Doing, Done, Open, Tale};

pub(super) fn tell(tale: Tale) -> Tale {
    let plan = ["Find the layer that is broken", "Repair it", "Prove it from the service's side"];
    tale.todo(&[(Doing, plan[0]), (Open, plan[1]), (Open, plan[2])])
        .say("I go from the wire upwards: link, address, route, names.")
        .bash(
            "ip -br link && ip -br addr && ip route",
            "Show links, addresses and routes",
            "lo               UNKNOWN        00:00:00:00:00:00\n\
             eth0             UP             52:54:00:9a:1c:07\n\
             lo               UNKNOWN        127.0.0.1/8 ::1/128\n\
             eth0             UP             10.20.0.14/24\n\
             default via 10.20.0.1 dev eth0 proto static\n\
             10.20.0.0/24 dev eth0 proto kernel scope link src 10.20.0.14",
        )
        .bash_for(
            2_000,
            "ping -c 3 -q 10.20.0.1",
            "Reach the gateway",
            "3 packets transmitted, 3 received, 0% packet loss, time 2003ms\nrtt min/avg/max/mdev = 0.311/0.342/0.390/0.034 ms",
        )
        .fail(
            "getent hosts payments.internal.example",
            "Resolve a name that the service needs",
            "",
        )
        .say("Link, address and route are fine; names are not resolved. Who is asked for them?")
        .bash(
            "resolvectl status eth0 | grep -i server",
            "Show the resolvers in use",
            "Current DNS Server: 10.20.0.53\n       DNS Servers: 10.20.0.53",
        )
        .bash_for(
            2_500,
            "dig +time=2 +tries=1 @10.20.0.53 payments.internal.example; dig +short +time=2 @10.20.0.54 payments.internal.example",
            "Ask the resolver and its twin",
            ";; communications error to 10.20.0.53#53: timed out\n;; no servers could be reached\n10.30.4.17",
        )
        .say("The resolver 10.20.0.53 does not answer, and its twin 10.20.0.54 does. This machine knows only the first.")
        .todo(&[(Done, plan[0]), (Doing, plan[1]), (Open, plan[2])])
        .read(
            "/etc/systemd/network/10-eth0.network",
            "[Match]\nName=eth0\n\n[Network]\nAddress=10.20.0.14/24\nGateway=10.20.0.1\nDNS=10.20.0.53",
        )
        .edit("/etc/systemd/network/10-eth0.network", "DNS=10.20.0.53", "DNS=10.20.0.54\nDNS=10.20.0.53")
        .bash_for(
            1_500,
            "networkctl reload && resolvectl flush-caches && resolvectl query payments.internal.example",
            "Apply and resolve again",
            "payments.internal.example: 10.30.4.17 -- link: eth0\n\n-- Information acquired via protocol DNS in 2.1ms.",
        )
        .todo(&[(Done, plan[0]), (Done, plan[1]), (Doing, plan[2])])
        .bash_for(
            1_200,
            "curl -sS -o /dev/null -w '%{http_code} %{time_total}\\n' http://payments.internal.example:8080/health",
            "Ask the service as its clients do",
            "200 0.014182",
        )
        .todo(&[(Done, plan[0]), (Done, plan[1]), (Done, plan[2])])
        .say(
            "**Recovered.** Names resolve again and payments answers in 14 ms.\n\n\
             - Cause: the resolver 10.20.0.53 is down, and this machine had no second one.\n\
             - Done: added 10.20.0.54 and put it first; nothing was restarted.\n\
             - For you: bring 10.20.0.53 back, and look for other machines with one resolver only.",
        )
}
