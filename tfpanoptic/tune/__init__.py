"""The settings of post-processing that give a trained model the best PQ on images with truth."""
