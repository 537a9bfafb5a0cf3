"""Facts, rules and findings about pods and Deployments that are not ready or not gone."""
