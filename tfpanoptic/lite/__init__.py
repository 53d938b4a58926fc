"""The runtime of devices: exported `.tflite` and `.onnx` files over photos.

It needs the file's own runtime (ai-edge-litert or onnxruntime), NumPy and Pillow: no TensorFlow, no Keras, and none of
the packages of the command line and of configurations.
"""

from tfpanoptic.lite.segmenter import Segmenter

__all__ = ["Segmenter"]
