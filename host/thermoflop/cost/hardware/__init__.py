"""What a device can do by its data sheet, and in which number formats."""
