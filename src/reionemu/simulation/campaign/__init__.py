"""Campaigns: the raw simulations of a whole design, on one machine, a batch system or Ray.

    plan        design + configuration -> tasks, one a simulation
    ledger      campaign.json: a folder belongs to one campaign
    records     what is there, and whether it is whole; manifest.json
    work        making one simulation after another        (locks: who is at which)
    processes   worker processes on this machine           (worker: their main program)
    on_ray      tasks on a Ray cluster
    slurm       the script of a job array
    resources   memory, disk, number of processes          (machine: what there is)
    run         run_campaign

No process is in charge. What is to be made follows from campaign.json, what is made from the
folders that are there, and who is at what from a lock a simulation; where locks do not work, a
simulation may be computed twice, and the first complete one stays.
"""

from .records import CampaignStatus, campaign_status
from .run import CampaignResult, FailedSimulation, run_campaign

__all__ = [
    "CampaignResult",
    "CampaignStatus",
    "FailedSimulation",
    "campaign_status",
    "run_campaign",
]
