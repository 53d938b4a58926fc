"""Settings of an experiment and the arithmetic of sizes; imports no TensorFlow and no Keras."""
