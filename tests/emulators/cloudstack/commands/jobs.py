"""Jobs, and how they are looked at."""

from __future__ import annotations

from emulators.cloudstack.commands.acts import Params, act
from emulators.cloudstack.world import Account, Item, Refusal, World


@act("queryAsyncJobResult")
def query_job(world: World, account: Account, params: Params) -> Item:
    job = world.jobs.get(params.get("jobid", ""))
    if job is None or job.account != account.id:
        raise Refusal(431, f"Unable to find a job by id {params.get('jobid')}", 4350)
    said: Item = {"jobid": job.id, "cmd": job.command, "jobprocstatus": 0, "jobinstanceid": job.instance}
    if job.result is None:
        return {**said, "jobstatus": 0, "jobresultcode": 0}
    status, code = (2, 530) if job.failed else (1, 0)
    return {**said, "jobstatus": status, "jobresultcode": code, "jobresult": job.result}
