"""``tf.train``: an iteration of training, its memory, its time."""
