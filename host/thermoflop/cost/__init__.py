"""From counts to time, memory and energy: operators x hardware x a profile of measured rates."""
