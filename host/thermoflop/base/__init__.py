"""What every wing speaks: records, numbers, units, files, charts. Imports nothing of the others."""
