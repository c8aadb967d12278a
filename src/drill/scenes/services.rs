//! A web server answers 502 because what stands behind it does not start.

use super::{Doing, Done, Open, Tale};

pub(super) fn tell(tale: Tale) -> Tale {
    let plan = ["Find what is down, and why", "Bring it back", "Check it from outside"];
    tale.todo(&[(Doing, plan[0]), (Open, plan[1]), (Open, plan[2])])
        .say("First what the users see, then what systemd says.")
        .bash(
            "curl -s -o /dev/null -w '%{http_code}\\n' http://127.0.0.1/ ; systemctl --failed --no-legend",
            "Ask the front door, list failed services",
            "502\n● shop-api.service loaded failed failed Shop API",
        )
        .bash_for(
            1_300,
            "journalctl -u shop-api -n 6 --no-pager -o cat",
            "Read its last words",
            "Starting shop-api 4.18.2\nfatal: config: unknown field `pool_sized` in /etc/shop/api.toml, line 7\n\
             shop-api.service: Main process exited, code=exited, status=78/CONFIG\n\
             shop-api.service: Scheduled restart job, restart counter is at 5.\n\
             shop-api.service: Start request repeated too quickly.\nshop-api.service: Failed with result 'exit-code'.",
        )
        .say("nginx is well; `shop-api` refuses its own configuration. Somebody has changed it tonight.")
        .read(
            "/etc/shop/api.toml",
            "listen = \"127.0.0.1:9000\"\nworkers = 8\n\n[database]\nhost = \"db-1\"\nname = \"shop\"\npool_sized = 40",
        )
        .bash(
            "git -C /etc/shop log -2 --format='%h %an %ar %s' && git -C /etc/shop diff HEAD~1 -- api.toml | tail -2",
            "See who changed it",
            "9f31c02 deploy 38 minutes ago raise the pool size\n77ab0de deploy 12 days ago rotate database host\n\
             -pool_size = 20\n+pool_sized = 40",
        )
        .say("A slip of the pen: `pool_sized` for `pool_size`. Is 40 possible at all?")
        .fail(
            "psql -h db-1 -U shop -tAc 'show max_connections'",
            "Ask the database for its limit",
            "psql: error: connection to server at \"db-1\", port 5432 failed: FATAL:  password authentication failed for user \"shop\"",
        )
        .say("I have no password for the database, and need none: the service's own account is in its environment.")
        .todo(&[(Done, plan[0]), (Doing, plan[1]), (Open, plan[2])])
        .edit("/etc/shop/api.toml", "pool_sized = 40", "pool_size = 40")
        .bash(
            "/opt/shop/bin/shop-api --check-config",
            "Check the configuration before starting",
            "config ok: database pool 40 (server allows 200)",
        )
        .bash_for(
            2_800,
            "systemctl reset-failed shop-api && systemctl start shop-api && sleep 2 && systemctl is-active shop-api",
            "Start the service",
            "active",
        )
        .todo(&[(Done, plan[0]), (Done, plan[1]), (Doing, plan[2])])
        .bash_for(
            2_000,
            "for i in 1 2 3 4 5; do curl -s -o /dev/null -w '%{http_code} %{time_total}\\n' http://127.0.0.1/; done",
            "Ask the front door again",
            "200 0.083\n200 0.021\n200 0.019\n200 0.020\n200 0.018",
        )
        .todo(&[(Done, plan[0]), (Done, plan[1]), (Done, plan[2])])
        .say(
            "**Recovered.** The shop answers 200 within 20 ms.\n\n\
             - Cause: commit 9f31c02 wrote `pool_sized` into `/etc/shop/api.toml`, and the service refused to start.\n\
             - Done: corrected the key and started the service.\n\
             - For you: commit the correction, and let the deployment run `--check-config` before a restart.",
        )
}
