"""What a job is given, made ready to be cut: arrays as .npy, tables as Arrow streams, files as what they hold."""
