"""What a run says, as pure functions of its folder."""
