"""The page: estimator, live board and GPUs, recorded runs, in a browser on this machine."""
