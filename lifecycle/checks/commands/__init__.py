"""What a command of a manifest does: of a container, a hook or a probe, as far as its words say."""
