"""Pure tensor functions on keras.ops; the only place that knows the backend."""
