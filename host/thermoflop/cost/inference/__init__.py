"""``tf.estimate``, ``tf.fit``, ``tf.compare`` and ``tf.speculate``: one run of a model."""
