"""The QOS port (probe port): probes for the kubelet, commands for people, and preStop."""
