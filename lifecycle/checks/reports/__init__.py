"""Reports: findings as text for people, as JSON and SARIF for programs."""
