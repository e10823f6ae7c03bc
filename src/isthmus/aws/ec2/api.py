"""The EC2 service that all families register their actions with."""

from __future__ import annotations

from isthmus.aws.ec2.faults import say
from isthmus.aws.ec2.ids import check
from isthmus.aws.service import Service

ec2 = Service("ec2", faults=say, check=check)
