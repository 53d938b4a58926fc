"""Label map -> training targets, in plain TensorFlow: they run inside tf.data under every backend."""
