"""The QOS port: probes for the kubelet, commands for people, preStop."""
