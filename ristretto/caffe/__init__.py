"""Caffe's files: prototxt and caffemodel to net and back. The only package that knows protobuf."""
