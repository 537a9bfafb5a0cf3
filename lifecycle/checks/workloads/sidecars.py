"""Known sidecars: meshes, proxies and agents."""

from __future__ import annotations

import re
from typing import Final

_EXPORTERS: Final = (
    r"(apache|celery|jmx|kafka|memcached|mysqld?|nginx|node|pgbouncer|php-fpm|postgres|process"
    r"|redis|statsd)[-_]exporter"
)
_NAMES: Final = re.compile(
    r"(linkerd|istio|envoy)-proxy|[a-z0-9-]*sidecar|envoy|daprd|traffic-agent|queue-proxy"
    r"|consul-dataplane|consul-connect-envoy|otc-container|config-reloader|git-sync|dogstatsd"
    r"|(cloud-?sql|alloydb)(-(auth-)?proxy)?|gce-proxy|oauth2?-proxy|pgbouncer|vault-agent"
    r"|(datadog|dd|newrelic|elastic|cloudwatch|grafana|jaeger|xray|trace|fluent-?bit|vector)-agent"
    r"|xray-daemon|fluent-?bit|fluentd|filebeat|promtail|vector|telegraf"
    rf"|(aws-)?(otel|opentelemetry)(-(collector|agent))?|{_EXPORTERS}"
)
_IMAGES: Final = re.compile(
    r"(.*/)?(proxyv2|linkerd/proxy|envoy(-distroless)?|aws-appmesh-envoy|consul-dataplane|kuma-dp"
    r"|daprd|cloud-sql-proxy|gce-proxy|alloydb-auth-proxy|oauth2-proxy|pgbouncer|hashicorp/vault"
    r"|(datadog|datadoghq)/agent|aws-for-fluent-bit|fluent-bit|fluentd|filebeat|promtail"
    r"|timberio/vector|telegraf|opentelemetry-collector(-contrib|-k8s)?|aws-otel-collector"
    rf"|cloudwatch-agent|jaeger-agent|aws-xray-daemon|git-sync|{_EXPORTERS})"
)


def is_known_sidecar(name: str, image: str) -> bool:
    """Tell whether the name or image of a container is that of a mesh, a proxy or an agent."""
    repository = image.partition("@")[0]
    if ":" in repository.rpartition("/")[2]:
        repository = repository.rpartition(":")[0]
    return bool(_NAMES.fullmatch(name) or _IMAGES.fullmatch(repository))
