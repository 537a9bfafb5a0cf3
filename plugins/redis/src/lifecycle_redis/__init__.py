"""
Redis as the service registry: one entry for each app service, which expires if this process dies.

After installation, set LIFECYCLE_REDIS_URL. redis-py is imported when the registry opens.
"""

from __future__ import annotations
