"""What a transformer is: config.json to description to operators and exact counts."""
