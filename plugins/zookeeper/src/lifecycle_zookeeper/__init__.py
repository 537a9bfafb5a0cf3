"""
ZooKeeper as the service registry: one node for each app service, which ends with this process.

After installation, set LIFECYCLE_ZOOKEEPER_URL. kazoo is imported when the registry opens.
"""

from __future__ import annotations
