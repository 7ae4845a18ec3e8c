"""From a config.json to a description: reading, families of keys, refusals by name."""
