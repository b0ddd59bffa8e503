"""A bucket of archives: Amazon S3 and everything that speaks its language."""

from ecm_agent.destination.s3.options import ObjectLock, S3Options
from ecm_agent.destination.s3.place import S3Destination

__all__ = ["ObjectLock", "S3Destination", "S3Options"]
